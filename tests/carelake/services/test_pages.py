"""Pages are given to who knows the password, and nothing but their files."""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from carelake.services.pages import Handler


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_text("the models", encoding="utf-8")
    (site / "sub" / "a b.json").write_text("{}", encoding="utf-8")
    (tmp_path / "secrets.json").write_text("not for you", encoding="utf-8")
    (site / "out").symlink_to(tmp_path / "secrets.json")
    monkeypatch.setattr(Handler, "log_message", lambda *_: None)
    handler = partial(Handler, sites={"dbt": site, "later": tmp_path / "no"}, password="pass: 词")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(
    port: int, path: str, login: str | None = "reader:pass: 词", method: str = "GET"
) -> tuple[int, str]:
    con = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {}
    if login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    con.request(method, path, headers=headers)
    answer = con.getresponse()
    return answer.status, answer.read().decode()


def test_files_of_the_sites_are_read_with_the_password(port: int) -> None:
    assert ask(port, "/dbt/") == (200, "the models")
    assert ask(port, "/dbt/index.html?x=1") == (200, "the models")
    assert ask(port, "/dbt/sub/a%20b.json") == (200, "{}")
    status, front = ask(port, "/")
    assert status == 200 and "'dbt/'" in front and "'later/'" in front
    assert ask(port, "/dbt")[0] == 301


@pytest.mark.parametrize(
    "login", [None, "reader:", "reader:pass", "admin:pass: 词", "", "reader:pass: 词 "]
)
def test_without_the_right_user_and_password_there_is_only_health(
    port: int, login: str | None
) -> None:
    for path in ("/", "/dbt/", "/dbt/index.html", "/nothing", "/health/../dbt/"):
        status, body = ask(port, path, login)
        assert status == 401 and "models" not in body, path
    assert ask(port, "/health", login) == (200, "ok")


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic %%%", "Basic cmVhZGVy", "basic"])
def test_a_header_that_is_no_login_is_no_login(port: int, header: str) -> None:
    con = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    con.request("GET", "/dbt/", headers={"Authorization": header})
    assert con.getresponse().status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/dbt/../secrets.json", "/dbt/%2e%2e/secrets.json", "/dbt/out", "/secrets.json", "/later/",
        "/dbt/sub/", "/dbt//etc/passwd", "/dbt/..%2fsecrets.json", "/dbt/%00", "/..", "/dbt/\\..",
    ],
)  # fmt: skip
def test_even_with_it_nothing_outside_and_no_list_of_a_folder(port: int, path: str) -> None:
    status, body = ask(port, path)
    assert status == 404 and "not for you" not in body and "a b.json" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent(port: int, method: str) -> None:
    assert ask(port, "/dbt/", method=method)[0] == 501


def test_head_says_what_get_would(port: int) -> None:
    assert ask(port, "/dbt/", method="HEAD") == (200, "")
    assert ask(port, "/dbt/", None, method="HEAD") == (401, "")
