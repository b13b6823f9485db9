"""How many webhooks the endpoint acknowledges a second, on one core, each safe on the disk first.

    python -m benchmarks.pushing [--requests 20000] [--connections 64]

A real client in a process of its own sends signed WhatsApp messages over loopback, on kept connections, the
next when the one before is answered. Server and client have a core each.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECRET = "benchmark"
ANSWER = b'{"status":"ok"}'


def request(number: int, port: int) -> bytes:
    """One signed request, of 700 bytes as WhatsApp's are."""
    said = {
        "from": f"8613{number % 10**6:09d}",
        "id": f"wamid.HBgNODYxMzgwMDEzODAwMBUCABIYIDA{number:012d}",
        "timestamp": str(1772442000 + number),
        "type": "text",
        "text": {"body": "Where is my parcel? It was to come on Tuesday. 我的包裹在哪里?"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "972123456789", "phone_number_id": "1122334455667"},
        "contacts": [{"profile": {"name": "Test Name"}, "wa_id": said["from"]}],
        "messages": [said],
    }
    entry = [{"id": "1234567890987654321", "changes": [{"value": value, "field": "messages"}]}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhooks/wa HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={digest}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection that sends a request when the one before is answered."""

    def __init__(self, queue: list[bytes], waits: list[float], done: asyncio.Future[None]) -> None:
        self._queue, self._waits, self._done = queue, waits, done
        self._sent = 0.0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._got.endswith(ANSWER):
            if (
                not self._got.startswith(b"HTTP/1.1 200"[: len(self._got)])
                and not self._done.done()
            ):
                self._done.set_exception(RuntimeError(self._got[:200].decode()))
            return
        self._got = b""
        self._waits.append(time.perf_counter() - self._sent)
        self._next()

    def _next(self) -> None:
        if not self._queue:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(self._queue.pop())


async def call(port: int, queue: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Send all; gives seconds, and the wait of each request."""
    loop, waits = asyncio.get_running_loop(), list[float]()
    ends = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Caller(queue, waits, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return time.perf_counter() - began, waits


def main() -> None:
    """Serve, send, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        listed = "[{name: wa, kind: whatsapp, connection: wa, webhook: {max_per_second: 1000000}}]"
        (Path(folder) / "sources.yml").write_text(f"sources: {listed}\n")
        secrets = json.dumps({"password": SECRET, "extra": {"verify_token": "t"}})
        environment = {
            **os.environ,
            "CARELAKE_HOME": f"{folder}/home",
            "CARELAKE_SOURCES": f"{folder}/sources.yml",
            "AIRFLOW_CONN_WA": secrets,
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "carelake.cli", "webhooks", "serve", "--port", str(port)],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            os.sched_setaffinity(server.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[-1]})
            _wait(port)
            queue = [request(number, port) for number in range(arguments.requests)]
            asyncio.run(call(port, queue[:500], 8))  # warm
            before = _cpu(server.pid)
            seconds, waits = asyncio.run(call(port, queue[500:], arguments.connections))
            busy = _cpu(server.pid) - before
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        waits.sort()
        median, slow = (waits[len(waits) * share // 100] * 1e3 for share in (50, 99))
        print(
            f"{len(waits) / seconds:,.0f} requests/s, {len(waits) / busy:,.0f} per second of one core's time"
        )
        print(
            f"waits: median {median:.1f} ms, 99 % {slow:.1f} ms; the server was busy {busy / seconds:.0%}"
        )


def _cpu(pid: int) -> float:
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the endpoint does not listen")


if __name__ == "__main__":
    main()
