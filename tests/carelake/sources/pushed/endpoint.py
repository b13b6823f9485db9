"""The endpoint as a process of its own, and a client that signs as the services do."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECRET = "app-secret"
TOKEN = "a-verify-token"
CHAT_SECRET = "webhook-secret"
PATH_TOKEN = "0123456789abcdef"

SOURCES = """
sources:
  - {name: wa, kind: whatsapp, connection: whatsapp, webhook: {seal_seconds: 600, max_body_bytes: 20000}}
  - {name: chat, kind: chatwoot_webhook, connection: chatwoot, webhook: {seal_seconds: 600}}
  - {name: old_chat, kind: chatwoot_webhook, connection: old_chatwoot, webhook: {seal_seconds: 600}}
"""
CONNECTIONS = {
    "AIRFLOW_CONN_WHATSAPP": json.dumps({"password": SECRET, "extra": {"verify_token": TOKEN}}),
    "AIRFLOW_CONN_CHATWOOT": json.dumps({"password": CHAT_SECRET}),
    "AIRFLOW_CONN_OLD_CHATWOOT": json.dumps({"extra": {"path_token": PATH_TOKEN}}),
}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header WhatsApp sends."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}


def signed_chat(body: bytes, moment: str = "1772442000") -> dict[str, str]:
    """The headers Chatwoot sends."""
    digest = hmac.new(
        CHAT_SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256
    ).hexdigest()
    return {"X-Chatwoot-Timestamp": moment, "X-Chatwoot-Signature": f"sha256={digest}"}


def message(ident: str, text: str, at: int, number: str = "8613800138000") -> dict[str, Any]:
    """What WhatsApp pushes for one message of a customer."""
    said = {
        "from": number,
        "id": ident,
        "timestamp": str(at),
        "type": "text",
        "text": {"body": text},
    }
    return envelope(messages=[said], contacts=[{"profile": {"name": "Li Na"}, "wa_id": number}])


def envelope(**value: Any) -> dict[str, Any]:
    """One change of one account."""
    whole = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, **value}
    changes = [{"field": "messages", "value": whole}]
    return {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": changes}]}


class Endpoint:
    """A running `carelake webhooks serve`."""

    def __init__(self, folder: Path, sources: str = SOURCES) -> None:
        (folder / "sources.yml").write_text(sources, encoding="utf-8")
        self.home = folder / "home"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")},
            **CONNECTIONS,
            "CARELAKE_HOME": str(self.home),
            "CARELAKE_SOURCES": str(folder / "sources.yml"),
            "CARELAKE_PEPPER": "p",
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carelake.cli", "webhooks", "serve", "--port", str(self.port)],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for _ in range(300):
            assert self.process.poll() is None, self.process.communicate()[1]
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the endpoint does not listen")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process by its own id."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """One request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body or None, headers or {})
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        finally:
            client.close()

    def push(self, content: dict[str, Any]) -> int:
        """Push to WhatsApp's source, signed."""
        body = json.dumps(content, ensure_ascii=False).encode()
        return self.ask("POST", "/webhooks/wa", body, signed(body))[0]


@contextmanager
def serving(folder: Path, sources: str = SOURCES) -> Iterator[Endpoint]:
    """An endpoint for the length of a test."""
    endpoint = Endpoint(folder, sources)
    endpoint.start()
    try:
        yield endpoint
    finally:
        if endpoint.process is not None and endpoint.process.poll() is None:
            endpoint.stop()
