"""Kind `rest`: tokens, connections, and what is said when they do not fit."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from carelake.errors import ConfigError
from carelake.landing import manifests
from carelake.sources.connections import find_connection
from carelake.sources.extract import extract_source
from carelake.sources.renewed_secrets import RenewedSecret, kept_in
from tests.carelake.sources.faulty_api import Answer, Asked, Listing, Service, serving
from tests.carelake.sources.listings import a_source, extract, landed, newest, wanted


def test_a_token_that_runs_out_while_pages_turn_is_fetched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "http://carelake:s3cret@127.0.0.1")
    listing = Listing(token="none yet", faults={2: "expired"}).fill(23)
    with serving(listing) as server:
        auth = {"type": "oauth2", "token_url": f"{server.url}/token"}
        source = a_source(server.url, connection="shop", rest={"auth": auth})
        result = extract(source, tmp_path)
        assert result.outcome == "extracted", result.message
        assert listing.tokens == 2
    assert newest(landed(tmp_path)) == wanted(listing)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes() and b"token-" not in path.read_bytes()


@pytest.mark.parametrize(
    ("connection", "rest", "said"),
    [
        ("http://x:wrong@127.0.0.1", {"auth": {"type": "bearer"}}, "401 Unauthorized; the service does not accept"),
        ("http://x:wrong@127.0.0.1", {"endpoint": "nowhere"}, "404 Not Found; there is no such address"),
        ("http://x:wrong@127.0.0.1", {"endpoint": "elsewhere"}, "which must not see our secrets"),
        ("http://x@127.0.0.1", {"auth": {"type": "bearer"}}, "connection 'shop' has no password; add it"),
    ],
)  # fmt: skip
def test_what_does_not_pass_fails_at_once_naming_connection_and_mend(
    connection: str,
    rest: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection)
    with serving(Listing(token="right").fill(3)) as server:
        result = extract(a_source(server.url, connection="shop", rest=rest), tmp_path)
        assert result.outcome == "failed"
        assert said in result.message and "connection 'shop'" in result.message
        assert "wrong" not in result.message
        assert len(server.listing.requests) <= 1
    assert manifests(tmp_path) == []


def test_without_a_connection_the_message_says_how_to_add_one(tmp_path: Path) -> None:
    source = a_source("http://127.0.0.1:9", connection="crm", rest={"auth": {"type": "bearer"}})
    result = extract(source, tmp_path)
    assert "there is no connection 'crm'" in result.message
    assert "AIRFLOW_CONN_CRM" in result.message


@pytest.mark.parametrize(
    ("text", "password", "url"),
    [
        ("https://me:p%40ss@shop.example:8443", "p@ss", "https://shop.example:8443"),
        ("http://me:p@shop.example/https", "p", "https://shop.example"),
        ('{"conn_type": "http", "host": "https://shop.example", "password": "p"}', "p", "https://shop.example"),
        ('{"host": "shop.example", "password": "p", "extra": {"refresh_token": "r"}}', "p", "https://shop.example"),
    ],
)  # fmt: skip
def test_connections_are_read_in_both_forms_airflow_has(
    text: str, password: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", text)
    found = find_connection("shop")
    assert (found.password, found.url) == (password, url)
    assert "password" not in repr(found) and "extra" not in repr(found)


def test_a_connection_that_cannot_be_read_tells_nothing_of_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", '{"password": "s3cret"')
    with pytest.raises(ConfigError) as error:
        find_connection("shop")
    assert "s3cret" not in str(error.value) and "AIRFLOW_CONN_SHOP cannot be read" in str(
        error.value
    )


def rotating(listing: Listing, monkeypatch: pytest.MonkeyPatch, first: str = "r0") -> None:
    extra = f'{{"refresh_token": "{first}"}}'
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP", f'{{"login": "carelake", "password": "s3cret", "extra": {extra}}}'
    )
    listing.refresh = first


def test_a_refresh_token_that_changes_with_each_use_is_kept_and_used_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Listing(token="none yet", faults={2: "expired"}).fill(23)
    rotating(listing, monkeypatch)
    kept = tmp_path / "home" / "renewed"
    with serving(listing) as server:
        auth = {
            "type": "oauth2", "token_url": f"{server.url}/token", "grant": "refresh_token",
        }  # fmt: skip
        source = a_source(server.url, connection="shop", rest={"auth": auth, "attempts": 1})
        for landing in ("first", "second"):
            done = extract_source(source, tmp_path, tmp_path / landing, secrets=kept)
            assert done.outcome == "extracted", done.message
        assert listing.tokens == 3 and newest(landed(tmp_path / "second")) == wanted(listing)

        # somebody gives access anew: what was kept for the old token is not used
        rotating(listing, monkeypatch, "given anew")
        done = extract_source(source, tmp_path, tmp_path / "third", secrets=kept)
        assert done.outcome == "extracted", done.message

        listing.refresh = "withdrawn"
        refused = extract_source(source, tmp_path, tmp_path / "fourth", secrets=kept)
        assert refused.outcome == "failed" and "put the new one into" in refused.message
        assert "refresh-" not in refused.message
    secret = kept / "shop.json"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and kept.stat().st_mode & 0o077 == 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != secret:
            assert b"refresh-" not in path.read_bytes()


def test_what_was_renewed_is_whole_after_a_kill_before_it_was_kept(tmp_path: Path) -> None:
    with kept_in(tmp_path):
        secret = RenewedSecret("shop", "given")
        with secret.in_turn():
            secret.replace("second")
        (tmp_path / "shop.part").write_text('{"replaces"', encoding="utf-8")
        assert RenewedSecret("shop", "given").value == "second"
        assert RenewedSecret("shop", "another").value == "another"


def test_a_refusal_is_told_in_the_words_of_the_service_and_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "http://x:s3cret-t0ken@127.0.0.1")

    class Echoing(Service):
        def answer(self, asked: Asked) -> Answer:
            said = f"Malformed access token {asked.headers['Authorization']}"
            return Answer({"error": {"code": 190, "message": said}}, 400)

    with serving(Echoing()) as server:
        rest = {"auth": {"type": "bearer"}}
        result = extract(a_source(server.url, connection="shop", rest=rest), tmp_path)
    assert "answered 400 Bad Request (190: Malformed access token Bearer ***)" in result.message
