"""A real Dovecot of Debian's package on loopback, and a proxy that cuts its connections."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

USER, PASSWORD = "care@shop.example", "pa'ss \\wörd"
"""With what a badly quoted login would trip over."""
PATIENCE = 60

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
mail_fsync = never
mail_uid = {user}
mail_gid = {group}
auth_mechanisms = plain
disable_plaintext_auth = no
auth_failure_delay = 0
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Gesendet {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Archive {{
    auto = create
  }}
}}
"""


@dataclass
class Mailserver:
    """Where it listens, and where its mails lie."""

    folder: Path
    plain: int
    tls: int
    process: subprocess.Popen[bytes]

    @property
    def certificate(self) -> Path:
        """Who trusts it trusts the server."""
        return self.folder / "cert.pem"

    @contextmanager
    def client(self, folder: str = "INBOX") -> Iterator[IMAPClient]:
        """A mail program that may change things."""
        with IMAPClient("127.0.0.1", self.plain, ssl=False, timeout=PATIENCE) as client:
            client.plain_login(USER, PASSWORD)
            client.select_folder(folder)
            yield client

    def put(self, mails: list[bytes], folder: str = "INBOX", flags: tuple[bytes, ...] = ()) -> None:
        """Deliver mails as a mail program does."""
        with self.client(folder) as client:
            for start in range(0, len(mails), 500):
                client.multiappend(
                    folder, [{"msg": mail, "flags": flags} for mail in mails[start : start + 500]]
                )

    def connection(self, port: int | None = None, password: str = PASSWORD) -> str:
        """As `AIRFLOW_CONN_...` holds it."""
        return json.dumps(
            {"conn_type": "imap", "host": "localhost", "port": port or self.plain, "login": USER,
             "password": password}
        )  # fmt: skip


OAUTH2 = """
auth_mechanisms = plain xoauth2
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
"""


@contextmanager
def dovecot(introspection: str | None = None) -> Iterator[Mailserver]:
    """A mail server with one empty mailbox.

    Args:
        introspection: address that says whose a token is; then tokens are taken beside passwords.
    """
    program = shutil.which("dovecot", path="/usr/sbin:/usr/bin")
    if program is None or shutil.which("openssl") is None:
        pytest.skip("no Dovecot here: apt install dovecot-imapd")
    if os.geteuid() != 0:
        pytest.skip("Dovecot wants to be started by root")
    folder = Path(tempfile.mkdtemp(prefix="carelake-dovecot-", dir="/tmp"))
    try:
        yield from _dovecot(program, folder, introspection)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _dovecot(program: str, folder: Path, introspection: str | None) -> Iterator[Mailserver]:
    entry = pwd.getpwnam("nobody")
    group = grp.getgrgid(entry.pw_gid).gr_name
    plain, tls = _free_port(), _free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
         str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    text = CONFIG.format(folder=folder, user="nobody", group=group, plain=plain, tls=tls)
    if introspection is not None:
        text += OAUTH2.format(folder=folder)
        told = f"introspection_mode = post\nintrospection_url = {introspection}\n"
        told += "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
        (folder / "oauth2.conf").write_text(told, encoding="utf-8")
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
    (folder / "dovecot.conf").write_text(text, encoding="utf-8")
    (folder / "mail").mkdir()
    shutil.chown(folder / "mail", "nobody", group)
    folder.chmod(0o755)
    process = subprocess.Popen(
        [program, "-F", "-c", str(folder / "dovecot.conf")],
        stdout=subprocess.DEVNULL, stderr=(folder / "err.log").open("wb"), cwd="/",
    )  # fmt: skip
    server = Mailserver(folder, plain, tls, process)
    try:
        _wait(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _wait(server: Mailserver) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with server.client():
                return
        except Exception as error:
            if server.process.poll() is not None or time.monotonic() > end:
                logs = [p.read_text(errors="replace") for p in server.folder.glob("*.log")]
                raise RuntimeError(
                    f"Dovecot does not answer: {error}\n{''.join(logs)[-2000:]}"
                ) from error
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CuttingProxy:
    """Passes bytes on to a server, and cuts each connection after so many of its bytes.

    Attributes:
        after: bytes from the server before a connection is cut, per connection; then never.
        n_connections: that were made.
    """

    def __init__(self, port: int, after: list[int]) -> None:
        self.after = list(after)
        self.n_connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            left = self.after.pop(0) if self.after else None
            far = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=_pass_on, args=(near, far, None), daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near, left), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, left: int | None) -> None:
    try:
        while data := source.recv(4096):
            if left is not None:
                data, left = data[:left], left - len(data)
            target.sendall(data)
            if left is not None and left <= 0:
                break
    except OSError:
        pass
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
