from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from carelake.errors import RunFailed
from carelake.services import airflow_api
from carelake.services.airflow_api import AirflowApi


class Handler(BaseHTTPRequestHandler):
    """Answers with the codes it was given, one per call; then with 200."""

    codes: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[str, str, Any]]] = []

    def do_PATCH(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        if self.path == "/auth/token":
            code, content = 201, {"access_token": "t"}
        else:
            Handler.seen.append((self.command, self.path, body))
            code, content = (Handler.codes.pop(0) if Handler.codes else 200), {"detail": "said"}
        raw = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowApi]:
    monkeypatch.setattr(airflow_api, "PATIENCE_SECONDS", 2.0)
    Handler.codes, Handler.seen = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "secret")
    server.shutdown()
    server.server_close()


def test_a_server_in_trouble_is_asked_again(api: AirflowApi) -> None:
    Handler.codes = [500, 503]
    api.unpause("ingest_calls")
    assert len(Handler.seen) == 3


def test_lasting_trouble_is_told_with_the_call(api: AirflowApi) -> None:
    Handler.codes = [500] * 50
    with pytest.raises(RunFailed, match="500 to PATCH /api/v2/dags/ingest_calls: .*said"):
        api.unpause("ingest_calls")


def test_a_server_that_does_not_answer_is_told_with_the_call(api: AirflowApi) -> None:
    api.unpause("ingest_calls")  # logged in
    api.url = "http://127.0.0.1:1"
    with pytest.raises(
        RunFailed, match="did not answer PATCH /api/v2/dags/ingest_calls: .*refused"
    ):
        api.unpause("ingest_calls")


def test_a_wrong_call_is_not_repeated(api: AirflowApi) -> None:
    Handler.codes = [404]
    with pytest.raises(RunFailed, match="404"):
        api.unpause("nobody")
    assert len(Handler.seen) == 1


def test_a_trigger_that_was_made_before_its_answer_was_lost_starts_one_run(api: AirflowApi) -> None:
    Handler.codes = [500, 409]
    run_id = api.trigger("ingest_calls")
    assert [body["dag_run_id"] for _, _, body in Handler.seen] == [run_id, run_id]
