"""The health check of a container fails when what it watches does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from carelake.services.health import problem


class Handler(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, bytes]] = (200, b"")

    def do_GET(self) -> None:
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_what_answers_is_healthy_and_what_does_not_is_not(url: str) -> None:
    Handler.answer = (200, b"ok")
    assert problem(url, []) is None
    Handler.answer = (503, b"")
    assert "503" in str(problem(url, []))
    assert "refused" in str(problem("http://127.0.0.1:1/", []))


def test_a_part_of_airflow_must_say_that_it_is_healthy(url: str) -> None:
    parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": None}}
    Handler.answer = (200, json.dumps(parts).encode())
    assert problem(url, ["scheduler"]) is None
    assert problem(url, ["scheduler", "triggerer"]) == "triggerer is None"
    assert problem(url, ["dag_processor"]) == "dag_processor is None"
    Handler.answer = (200, b"<html>")
    assert problem(url, ["scheduler"]) is not None
