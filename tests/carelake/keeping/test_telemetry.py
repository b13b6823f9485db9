"""The settings that docs/keeping.md gives for OpenTelemetry are those Airflow takes."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.conftest import PROJECT, clean_variables

SEND = """
from airflow.observability.metrics.stats_utils import get_stats_factory
from opentelemetry import metrics

get_stats_factory()().incr("carelake_was_here")
assert metrics.get_meter_provider().force_flush()
"""


@pytest.mark.slow
def test_airflow_sends_its_metrics_where_the_docs_say(tmp_path: Path) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    page = (PROJECT / "docs" / "keeping.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"\b((?:AIRFLOW__|OTEL_)\w+)=(\S+)", page))
    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert said["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
        said["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
        env = {**clean_variables(), **said, "AIRFLOW_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        subprocess.run([sys.executable, "-c", SEND], env=env, check=True, timeout=300)
    finally:
        server.shutdown()
        server.server_close()
    bodies = [body for path, body in received if path == "/v1/metrics"]
    assert any(b"carelake_was_here" in body for body in bodies)
    assert any(said["OTEL_SERVICE_NAME"].encode() in body for body in bodies)
