"""A real PostgreSQL or MariaDB of Debian's packages, on loopback, for as long as a test needs it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pymysql
import pytest
import trustme

PASSWORD = "ad'min \\pass"
"""The administrator's password; with what a badly quoted connection would trip over."""
PATIENCE = 120
"""Seconds a server may take to answer for the first time."""


@dataclass
class Server:
    """Where a server of a test listens."""

    kind: str
    port: int
    user: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it as its own commands would, waiting for no session."""
        # PostgreSQL's fast shutdown is an interrupt
        self.process.send_signal(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def start_again(self) -> None:
        """Start it once more on what it left; it may take a moment to answer."""
        self.process = subprocess.Popen(
            self.process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )


@contextmanager
def postgresql(authority: trustme.CA | None = None) -> Iterator[Server]:
    """PostgreSQL with passwords, in a new cluster; with an authority it also speaks TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL here: apt install postgresql")
    with _folder("postgres") as folder:
        yield from _postgresql(folder, found[-1].parent, _certified(folder, "postgres", authority))


def _postgresql(folder: Path, programs: Path, tls: tuple[str, str] | None) -> Iterator[Server]:
    data, port, secret = folder / "data", _free_port(), folder / "secret"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o644)
    subprocess.run(
        [*_as("postgres"), str(programs / "initdb"), "--pgdata", str(data), "--username", "admin",
         "--pwfile", str(secret), "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync",
         "--locale", "C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    options = (
        ["-c", "ssl=on", "-c", f"ssl_cert_file={tls[0]}", "-c", f"ssl_key_file={tls[1]}"]
        if tls
        else []
    )
    process = subprocess.Popen(
        [*_as("postgres"), str(programs / "postgres"), "-D", str(data), "-p", str(port),
         "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-c", "fsync=off",
         *options],
        stdout=subprocess.DEVNULL, stderr=(folder / "pg.log").open("wb"), cwd="/",
    )  # fmt: skip

    def answer() -> None:
        psycopg.connect(
            host="127.0.0.1", port=port, user="admin", password=PASSWORD, dbname="postgres"
        ).close()

    yield from _serve(Server("postgresql", port, "admin", process), answer, folder / "pg.log")


@contextmanager
def mariadb(authority: trustme.CA | None = None) -> Iterator[Server]:
    """MariaDB with a password for `admin`; with an authority it also speaks TLS."""
    program = shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no MariaDB here: apt install mariadb-server")
    with _folder("mysql") as folder:
        yield from _mariadb(folder, program, _certified(folder, "mysql", authority))


def _mariadb(folder: Path, program: str, tls: tuple[str, str] | None) -> Iterator[Server]:
    data, port = folder / "data", _free_port()
    as_user = ["--user=mysql"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", *as_user, "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    first = folder / "first.sql"
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    first.write_text(
        f"create user admin@'127.0.0.1' identified by '{quoted}';\n"
        "grant all on *.* to admin@'127.0.0.1' with grant option;\n",
        encoding="utf-8",
    )
    first.chmod(0o644)
    options = [f"--ssl-cert={tls[0]}", f"--ssl-key={tls[1]}"] if tls else []
    process = subprocess.Popen(
        [program, "--no-defaults", f"--datadir={data}", *as_user, f"--port={port}",
         "--bind-address=127.0.0.1", f"--socket={data / 's'}", f"--init-file={first}",
         "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
         *options],
        stdout=subprocess.DEVNULL, stderr=(folder / "maria.log").open("wb"),
    )  # fmt: skip

    def answer() -> None:
        pymysql.connect(host="127.0.0.1", port=port, user="admin", password=PASSWORD).close()

    yield from _serve(Server("mysql", port, "admin", process), answer, folder / "maria.log")


def _serve(server: Server, answer: Callable[[], None], log: Path) -> Iterator[Server]:
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer()
                break
            except (psycopg.OperationalError, pymysql.OperationalError):
                if server.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(log.read_text(encoding="utf-8", errors="replace")[-2000:])
                time.sleep(0.1)
        yield server
    finally:
        server.stop()


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    """A folder with `data`, which the server's own user may enter and write.

    Not below pytest's: the next pytest to start takes that away from other users.
    """
    with tempfile.TemporaryDirectory(prefix="carelake-server-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        data = folder / "data"
        data.mkdir(mode=0o700)
        _give(data, user)
        yield folder


def _certified(folder: Path, user: str, authority: trustme.CA | None) -> tuple[str, str] | None:
    """Files of a certificate for 127.0.0.1 and of its key, which is the server's alone."""
    if authority is None:
        return None
    made = authority.issue_cert("127.0.0.1")
    certificate, key = folder / "server.crt", folder / "server.key"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    certificate.chmod(0o644)
    key.chmod(0o600)
    _give(key, user)
    return str(certificate), str(key)


def _give(path: Path, user: str) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _as(user: str) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return (
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        if os.geteuid() == 0
        else []
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
