"""What services push, over a real socket: verified, limited, safe before it is acknowledged."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.landing import manifests
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from tests.carelake.sources.pushed.endpoint import (
    CONNECTIONS,
    PATH_TOKEN,
    SOURCES,
    TOKEN,
    Endpoint,
    envelope,
    message,
    serving,
    signed,
    signed_chat,
)

Make = Callable[..., Context]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with serving(tmp_path) as running:
        yield running


def landed(endpoint: Endpoint, source: str = "wa") -> list[dict[str, Any]]:
    """Every landed request."""
    folder = endpoint.home / "landing"
    return [
        json.loads(line)
        for manifest in manifests(folder, source)
        for file in manifest.files
        for line in (manifest.folder(folder) / file.landed).read_text("utf-8").splitlines()
    ]


def loaded(make_context: Make, query: str) -> list[Any]:
    """Rows of raw after extract and load of what landed."""
    ctx = make_context(SOURCES)
    for source in ctx.sources.sources:
        assert extract_source(source, ctx.config_dir, ctx.home.landing).outcome != "failed"
    results = load(ctx)
    assert [r.held_reason for r in results if r.held_reason] == []
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        return con.execute(query).fetchall()


def test_whatsapps_question_at_set_up_is_answered_to_who_knows_the_token(
    endpoint: Endpoint,
) -> None:
    asked = "/webhooks/wa?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    assert endpoint.ask("GET", asked + TOKEN) == (200, "1158201444")
    assert endpoint.ask("GET", asked + "guess")[0] == 403
    assert endpoint.ask("GET", "/webhooks/chat?hub.mode=subscribe&hub.verify_token=")[0] == 403


def test_what_is_not_signed_right_or_too_long_or_no_json_never_lands(endpoint: Endpoint) -> None:
    body = json.dumps(message("wamid.1", "hello", 1772442000)).encode()
    ask = endpoint.ask
    assert ask("POST", "/webhooks/wa", body)[0] == 401
    assert ask("POST", "/webhooks/wa", body, signed(body, "another secret"))[0] == 401
    assert ask("POST", "/webhooks/wa", body + b" ", signed(body))[0] == 401
    assert ask("POST", "/webhooks/nowhere", body, signed(body))[0] == 404
    long = json.dumps({"x": "y" * 20_000}).encode()
    assert ask("POST", "/webhooks/wa", long, signed(long))[0] == 413
    for broken in (b"{", b"[1]", b"\xff\xfe"):
        assert ask("POST", "/webhooks/wa", broken, signed(broken))[0] == 400
    assert (
        ask("POST", "/webhooks/chat", body, signed_chat(body) | {"X-Chatwoot-Timestamp": "1"})[0]
        == 401
    )
    assert ask("POST", "/webhooks/old_chat/guess", body)[0] == 401
    assert ask("POST", "/webhooks/old_chat", body)[0] == 401
    endpoint.stop()
    assert [landed(endpoint, name) for name in ("wa", "chat", "old_chat")] == [[], [], []]


def test_more_than_the_source_may_take_is_told_to_come_again(tmp_path: Path) -> None:
    slow = SOURCES.replace("max_body_bytes: 20000", "max_per_second: 2")
    with serving(tmp_path, slow) as endpoint:
        answers = [endpoint.push(message(f"wamid.{i}", "x", 1772442000)) for i in range(8)]
        assert answers[:2] == [200, 200] and 429 in answers
        endpoint.stop()
        assert len(landed(endpoint)) == answers.count(200)


def test_messages_and_what_became_of_ours_come_in_whatever_their_order(
    endpoint: Endpoint, make_context: Make
) -> None:
    statuses = [
        envelope(statuses=[{"id": "wamid.ours", "status": s, "timestamp": str(at), "recipient_id": "8613800138000"}])
        for s, at in (("sent", 1772442060), ("delivered", 1772442062), ("read", 1772442300))
    ]  # fmt: skip
    failed = {
        "id": "wamid.lost",
        "status": "failed",
        "timestamp": "1772442070",
        "recipient_id": "1",
    }
    picture = {"from": "8613800138000", "id": "wamid.2", "timestamp": "1772442010", "type": "image",
               "image": {"id": "777", "mime_type": "image/jpeg", "caption": "看", "url": "https://x/?key=1"}}  # fmt: skip
    edit = {"from": "8613800138000", "id": "wamid.3", "timestamp": "1772442030", "type": "edit",
            "edit": {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "in which box?"}}}}  # fmt: skip
    call = {"id": "wacid.1", "from": "8613800138000", "to": "1", "event": "terminate", "direction": "USER_INITIATED",
            "timestamp": "1772442500", "status": "COMPLETED", "start_time": "1772442400", "duration": 90}  # fmt: skip
    pushes = [
        message("wamid.1", "in wich box?", 1772442000),
        envelope(messages=[picture, edit], contacts=[{"profile": {"name": "Li Na"}, "wa_id": "8613800138000"}]),
        *statuses,
        envelope(statuses=[{**failed, "status": "sent", "timestamp": "1772442065"}, failed]),
        envelope(calls=[{**call, "event": "connect", "status": None, "timestamp": "1772442395"}]),
        envelope(calls=[call]),
        envelope(message_template_status_update={"event": "APPROVED"}),
    ]  # fmt: skip
    again = pushes * 2
    random.Random(7).shuffle(again)
    assert {endpoint.push(push) for push in again} == {200}
    endpoint.stop()
    assert len(landed(endpoint)) == len(again)
    rows = loaded(make_context, """
        with newest as (
            from raw.communications
            qualify row_number() over (partition by communication_id order by updated_at desc) = 1
        )
        select communication_id, channel, direction, phone, customer_name, body, status, sent_at[:19], duration_seconds,
            is_deleted, attributes ->> 'media_id', attributes ->> 'mime_type', extra::varchar like '%key=1%'
        from newest order by communication_id
    """)  # fmt: skip
    li = ("+8613800138000", "Li Na")
    assert rows == [
        ("wacid.1", "phone", "inbound", "+8613800138000", None, None, "answered", "2026-03-02T09:06:40", "90", None, None, None, False),
        ("wamid.1", "chat", "inbound", *li, "in which box?", None, "2026-03-02T09:00:30", None, None, None, None, False),
        ("wamid.2", "chat", "inbound", *li, "看", None, "2026-03-02T09:00:10", None, None, "777", "image/jpeg", False),
        ("wamid.lost", "chat", "outbound", "+1", None, None, None, "2026-03-02T09:01:10", None, "true", None, None, False),
        ("wamid.ours", "chat", "outbound", "+8613800138000", None, None, None, "2026-03-02T09:01:00", None, None, None, None, False),
    ]  # fmt: skip


def test_chatwoot_tells_customers_agents_bots_and_notes_apart(
    endpoint: Endpoint, make_context: Make
) -> None:
    person = {"id": 5, "name": "Li Na", "email": "li@example.org", "phone_number": "+8613800138000"}
    talk = {"id": 42, "meta": {"sender": person}}
    base = {
        "event": "message_created",
        "conversation": talk,
        "created_at": "2026-03-02 09:00:00 UTC",
    }
    anna = {"id": 1, "name": "Anna", "email": "anna@shop.example", "type": "user"}
    pushes = [
        {**base, "id": 1, "message_type": "incoming", "content": "Where is it?", "sender": person},
        {**base, "id": 2, "message_type": "outgoing", "content": "<p>Here</p>", "sender": anna},
        {**base, "id": 3, "message_type": "outgoing", "content": "difficult", "sender": anna, "private": True},
        {**base, "id": 4, "message_type": "template", "content": "We are closed", "sender": {"type": "agent_bot", "name": "Bot"}},
        {**base, "id": 5, "message_type": "activity", "content": "Anna joined"},
        {**base, "event": "conversation_status_changed", "id": 42, "status": "resolved"},
        {**base, "event": "message_updated", "id": 1, "message_type": "incoming", "content": "",
         "content_attributes": {"deleted": True}, "sender": person},
    ]  # fmt: skip
    for number, push in enumerate(pushes):
        body = json.dumps(push, indent=1).encode()
        headers = signed_chat(body, str(1772442000 + number))
        assert endpoint.ask("POST", "/webhooks/chat", body, headers)[0] == 200
    body = json.dumps({**pushes[0], "id": 9}).encode()
    assert endpoint.ask("POST", f"/webhooks/old_chat/{PATH_TOKEN}", body)[0] == 200
    endpoint.stop()
    rows = loaded(make_context, """
        select source_name, communication_id, conversation_id, direction, email, agent, body, is_deleted
        from raw.communications order by source_name, updated_at, communication_id
    """)  # fmt: skip
    assert rows == [
        ("chat", "1", "42", "inbound", "li@example.org", None, "Where is it?", None),
        ("chat", "2", "42", "outbound", "li@example.org", "anna@shop.example", "Here", None),
        ("chat", "4", "42", "outbound", "li@example.org", None, "We are closed", None),
        ("chat", "1", "42", "inbound", "li@example.org", None, None, "true"),
        ("old_chat", "9", "42", "inbound", "li@example.org", None, "Where is it?", None),
    ]


def test_killed_at_any_moment_it_loses_nothing_acknowledged_and_lands_nothing_twice(
    tmp_path: Path,
) -> None:
    quick = SOURCES.replace("seal_seconds: 600", "seal_seconds: 0.6")
    endpoint = Endpoint(tmp_path, quick)
    acknowledged: set[str] = set()
    lock, ended = threading.Lock(), threading.Event()

    def push(worker: int) -> None:
        number = 0
        while not ended.is_set():
            ident = f"wamid.{worker}.{number}"
            number += 1
            try:
                status = endpoint.push(message(ident, "x" * 300, 1772442000 + number))
            except OSError:
                ended.wait(0.05)
                continue
            if status == 200:
                with lock:
                    acknowledged.add(ident)

    workers = [threading.Thread(target=push, args=(worker,)) for worker in range(4)]
    endpoint.start()
    for worker in workers:
        worker.start()
    rng = random.Random(1)
    for _ in range(5):
        ended.wait(rng.uniform(0.4, 1.5))
        endpoint.stop(signal.SIGKILL)
        endpoint.start()
    ended.wait(0.5)
    ended.set()
    for worker in workers:
        worker.join()
    # as the last line a process may have begun when it was killed
    endpoint.stop(signal.SIGKILL)
    journal = max((endpoint.home / "landing" / "wa" / ".pushed").glob("*.jsonl"))
    journal.open("ab").write(b'{"received_at": "2026')
    endpoint.start()
    endpoint.stop()
    found = [
        push["body"]["entry"][0]["changes"][0]["value"]["messages"][0]["id"]
        for push in landed(endpoint)
    ]
    assert len(acknowledged) > 100
    assert acknowledged <= set(found)
    assert len(found) == len(set(found))
    assert len(manifests(endpoint.home / "landing", "wa")) > 1


def test_an_extract_leaves_a_running_endpoint_alone_and_seals_what_a_dead_one_left(
    endpoint: Endpoint, make_context: Make
) -> None:
    assert endpoint.push(message("wamid.1", "hello", 1772442000)) == 200
    ctx = make_context(SOURCES)
    source = ctx.sources.sources[0]
    found = extract_source(source, ctx.config_dir, ctx.home.landing)
    assert (found.outcome, found.message[:17]) == ("nothing_new", "the endpoint runs")
    second = subprocess.run(
        [sys.executable, "-m", "carelake.cli", "webhooks", "serve", "--port", "1"],
        env=endpoint.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (
        second.returncode != 0 and "another endpoint takes it; stop that one first" in second.stderr
    )
    endpoint.stop(signal.SIGKILL)
    found = extract_source(source, ctx.config_dir, ctx.home.landing)
    assert (found.outcome, found.n_files) == ("extracted", 1)
    assert extract_source(source, ctx.config_dir, ctx.home.landing).outcome == "nothing_new"
    assert len(landed(endpoint)) == 1


def test_the_blocks_of_the_page_are_served(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carelake.sources.push_server import make_app

    page = (Path(__file__).parents[4] / "docs" / "sources-chat-pushed.md").read_text("utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.S | re.M)
    ctx = make_context("sources:\n" + "".join(blocks))
    for name, text in re.findall(r"^export (\w+)='(.*)'$", page, re.M):
        monkeypatch.setenv(name, text)
    make_app(ctx.home.landing, ctx.sources.sources)
    first, second = (source.webhook for source in ctx.sources.sources)
    assert first == second, "the page shows the values if unset"


def test_a_source_without_its_secret_is_not_served(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carelake.sources.push_server import make_app

    ctx = make_context(SOURCES)
    for name, text in CONNECTIONS.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("AIRFLOW_CONN_OLD_CHATWOOT", json.dumps({"extra": {"path_token": "short"}}))
    with pytest.raises(ConfigError, match="a path_token of 16 or more characters"):
        make_app(ctx.home.landing, ctx.sources.sources)
    monkeypatch.setenv("AIRFLOW_CONN_WHATSAPP", json.dumps({"password": "s"}))
    with pytest.raises(ConfigError, match="connection 'whatsapp' has no verify_token"):
        make_app(ctx.home.landing, ctx.sources.sources)
