"""Alerts reach a real mail server and a real HTTP server, and a dead one costs a line of log."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from carelake import airflow_alerts, last_good
from carelake.alerts import Alert, body, send, worth_telling
from carelake.errors import ConfigError, RunFailed
from carelake.setting_groups.alerts import Alerts
from carelake.settings import Home, Settings
from tests.smtp_server import PASSWORD, Mailbox, smtp_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # where a test has no TLS
ALERT = Alert(
    what="ingest_calls.extract failed",
    reason="calls/2024.csv: 没有权限\n\x1b[31msecond line",
    owner="support-data",
    run="scheduled__2024-05-01",
    link="http://127.0.0.1:8080/dags/ingest_calls/runs/r1/tasks/extract",
    triage="### Ingest `calls`\n\n**What it does.** Copies files.",
)


class Hook(BaseHTTPRequestHandler):
    """Takes posts; `/slow` answers a byte a second, `/gone` with 404."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, json.loads(raw)))  # type: ignore[attr-defined]
        self.send_response(404 if self.path.startswith("/gone") else 200)
        self.send_header("Content-Length", "30" if self.path == "/slow" else "0")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for _ in range(30 if self.path == "/slow" else 0):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(1)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    with smtp_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.posts = []  # type: ignore[attr-defined]
    with serving(server):
        yield server


def url(server: Any, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def by_mail(box: Mailbox, security: str = "none") -> dict[str, Any]:
    return {
        "to": ["team@example.com"], "sender": "carelake@example.com", "host": "127.0.0.1",
        "port": box.port, "security": security, "user": "carelake", "password_env": "MAIL_PASSWORD",
    }  # fmt: skip


def test_mail_and_post_carry_reason_link_and_triage_note_and_no_password(
    mail: Mailbox, hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    settings = Alerts.model_validate(
        {
            "mail": by_mail(mail),
            "webhooks": [{"url": url(hook)}, {"url": url(hook, "/d"), "style": "dingtalk"}],
        }
    )
    said: list[str] = []
    assert send(ALERT, settings, said.append) == 3 and said == []
    (raw,) = mail.mails
    assert mail.logins == [("carelake", False)]
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Subject"].startswith(
        "[Carelake] ingest_calls.extract failed: calls/2024.csv: 没有权限"
    )
    text = message.get_body(("plain",)).get_content()
    for part in (ALERT.link, "**What it does.** Copies files.", "owner support-data"):
        assert part in text
    assert "\x1b" not in text and PASSWORD not in raw.decode()
    posts = dict(hook.posts)
    assert (
        posts["/"]["text"].splitlines()[0].startswith("ingest_calls.extract failed: calls/2024.csv")
    )
    assert posts["/d"]["text"]["content"] == posts["/"]["text"]
    assert ALERT.link in posts["/"]["text"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_password_travels_by_tls_only_and_to_a_server_that_is_trusted(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with smtp_server(security) as box:
        settings = Alerts.model_validate({"mail": by_mail(box, security)})
        said: list[str] = []
        assert send(ALERT, settings, said.append) == 0
        assert "certificate verify failed" in said[0] and box.logins == [] == box.mails

        box.authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert send(ALERT, settings, said.append) == 1, said
        assert [name for name, _ in box.logins] == ["carelake"] and len(box.mails) == 1
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        assert send(ALERT, settings, said.append) == 0
        assert "SMTPAuthenticationError" in said[-1] and len(box.mails) == 1


def test_what_cannot_be_told_costs_one_line_without_the_address_and_a_bounded_time(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/services/T0/secret"
    monkeypatch.delenv("NOT_SET", raising=False)
    settings = Alerts.model_validate(
        {
            "timeout_seconds": 3,
            "webhooks": [
                {"url": url(hook, "/slow")}, {"url": dead}, {"url": url(hook, "/gone/secret")},
                {"url_env": "NOT_SET"}, {"url": url(hook, "/good")},
            ],
        }
    )  # fmt: skip
    said: list[str] = []
    began = time.monotonic()
    assert send(ALERT, settings, said.append) == 1
    assert time.monotonic() - began < 10
    assert [line.split(" was not sent")[0] for line in said] == [
        "alert by webhook 1 (127.0.0.1)", "alert by webhook 2 (127.0.0.1)",
        "alert by webhook 3 (127.0.0.1)", "alert by webhook 4 ($NOT_SET)",
    ]  # fmt: skip
    assert "within 3 s" in said[0] and "404" in said[2] and "NOT_SET is not set" in said[3]
    assert not any("secret" in line or "\n" in line for line in said)


def test_a_text_fits_the_strictest_chat_tool() -> None:
    long = Alert("x failed", "原因" * 2000, triage="分诊" * 2000)
    for style in ("text", "dingtalk", "feishu"):
        shown = json.dumps(body(long, style), ensure_ascii=False)
        assert len(shown.encode()) < 2100 and "�" not in shown


def test_held_batches_of_either_kind_and_lines_of_a_step_are_worth_telling() -> None:
    result = {
        "summary": "fine",
        "details": {
            "held": {"calls-000002": "raw: too few rows"},
            "chat-000003": "0 rows, 0 rejects; held: its file is damaged",
            "chat-000004": "10 rows, 0 rejects",
            "alerts": ["source chat is quiet since Monday"],
        },
    }
    assert worth_telling(result) == [
        "batch calls-000002 is held: raw: too few rows",
        "batch chat-000003 is held: its file is damaged",
        "source chat is quiet since Monday",
    ]
    assert worth_telling({"details": {}}) == worth_telling({}) == []


def test_a_reason_is_a_sentence_of_ours_or_names_the_error() -> None:
    assert airflow_alerts.reason(RunFailed("gate marts: no rows")) == "gate marts: no rows"
    assert airflow_alerts.reason(ValueError("a\nb")) == "ValueError: a"
    assert "process was lost" in airflow_alerts.reason(None)


@pytest.mark.parametrize(
    ("alerts", "fault"),
    [
        ("{mail: {to: [a@b.c], sender: d@e.f, host: h, password: x}}", "password: unknown key"),
        ("{mail: {to: [a@b.c], sender: d@e.f, host: h, user: u}}", "password_env"),
        ("{webhooks: [{style: text}]}", "url or url_env"),
    ],
)
def test_a_wrong_alert_is_told_with_its_key(tmp_path: Path, alerts: str, fault: str) -> None:
    file = tmp_path / "carelake.yml"
    file.write_text(f"alerts: {alerts}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"carelake.yml: alerts.*{fault}"):
        Settings.load(file)


def test_a_broken_file_gives_back_the_last_good_one_of_that_place_and_says_what_is_wrong(
    tmp_path: Path,
) -> None:
    home, file = Home(tmp_path / "home"), tmp_path / "carelake.yml"
    file.write_text("settle_seconds: 7\n", encoding="utf-8")
    assert last_good.settings(home, file)[0].settle_seconds == 7
    file.write_text("settle_seconds: soon\n", encoding="utf-8")
    kept, fault = last_good.settings(home, file)
    assert kept.settle_seconds == 7 and "settle_seconds" in str(fault)
    other = tmp_path / "other.yml"
    other.write_text("settle_seconds: soon\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        last_good.settings(home, other)
    file.unlink()
    assert last_good.settings(home, file) == (Settings(), None)
