"""Kind `mongodb` over MongoDB's wire protocol: documents, what is new, faults."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.counting import Counted
from carelake.sources.mongodb import _sorted_out, count
from carelake.sources.mongodb import extract as extract_mongodb
from carelake.sources.patience import Passing
from carelake.sources.plain_json import line_of
from carelake.window import Window
from tests.commands import carelake
from tests.file_servers import cutting, free_port, listens, running

EPOCH = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
LARGE = "退款太慢了" * 40


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """NX-27017: MongoDB's wire protocol over SQLite. MongoDB itself is in no package."""
    program = Path(sys.executable).with_name("nx-27017")
    if not program.exists():
        pytest.skip("no NX-27017 here: install nx-27017")
    folder, port = tmp_path_factory.mktemp("mongodb"), free_port()
    command = [str(program), "--db", str(folder / "data.db"), "-p", str(port)]
    with running(command, folder / "log", lambda: listens(port)):
        yield port


@pytest.fixture
def tickets(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty collection, and a connection that leads to it."""
    monkeypatch.setenv("AIRFLOW_CONN_DESK", connection(port))
    with MongoClient("127.0.0.1", port, tz_aware=True) as client:
        client.desk.tickets.drop()
        client.desk.tickets.insert_one({"_id": 0})
        client.desk.tickets.delete_one({"_id": 0})
        yield client.desk.tickets


def connection(port: int) -> str:
    return json.dumps({"host": "127.0.0.1", "port": port, "schema": "desk"})


def ticket(minute: int, **more: Any) -> dict[str, Any]:
    """A document whose id and time are of that minute."""
    moment = EPOCH + dt.timedelta(minutes=minute)
    ident = ObjectId.from_datetime(moment).binary[:4] + minute.to_bytes(8, "big")
    return {"_id": ObjectId(ident), "n": minute, "text": f"问题 😀 {minute}", "at": moment,
            "who": {"email": f"c{minute}@example.org"}, **more}  # fmt: skip


def a_source(**mongodb: Any) -> Source:
    return Source.model_validate(
        {"name": "tickets", "kind": "mongodb", "connection": "desk", "entity": "communications",
         "columns": {"communication_id": "_id", "body": "text", "email": "who.email", "sent_at": "at"},
         "mode": mongodb.pop("mode", "append"), "mongodb": {"collection": "tickets", **mongodb}}
    )  # fmt: skip


def extract(source: Source, landing: Path, window: Window | None = None) -> ExtractResult:
    return extract_mongodb(source, landing, landing, window or Window(), sleep=lambda s: None)


def landed(landing: Path) -> list[list[dict[str, Any]]]:
    found = []
    for manifest in manifests(landing):
        assert not manifest.damage(landing)
        text = (manifest.folder(landing) / manifest.files[0].landed).read_text(encoding="utf-8")
        found.append([json.loads(line) for line in text.splitlines()])
    return found


def numbers(landing: Path) -> list[list[int]]:
    return [sorted(document["n"] for document in batch) for batch in landed(landing)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule", [{}, {"field": "at"}, {"field": "n", "look_back": 5}], ids=["id", "date", "number"]
)
def test_each_reading_brings_what_is_new_and_the_look_back(
    rule: dict[str, Any], tickets: Any, tmp_path: Path
) -> None:
    source = a_source(incremental={"look_back": "5m", **rule})
    tickets.insert_many([ticket(n) for n in range(1, 21)])
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    tickets.insert_many([ticket(n) for n in (21, 22)])
    # written late, with the id and time of an earlier minute
    late = ObjectId(ticket(19)["_id"].binary[:11] + b"\xff")
    tickets.insert_one(ticket(19, _id=late))
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    assert numbers(tmp_path) == [list(range(1, 21)), sorted([*range(15, 23), 19])]


@pytest.mark.slow
def test_documents_are_counted_as_they_are_filtered(tickets: Any, tmp_path: Path) -> None:
    tickets.insert_many([ticket(n) for n in range(1, 21)])
    assert count(a_source(), tmp_path) == Counted(20)
    assert count(a_source(filter={"n": {"$gt": 15}}), tmp_path) == Counted(5)
    later = {"field": "at", "initial": (EPOCH + dt.timedelta(minutes=11)).isoformat()}
    found = count(a_source(incremental=later), tmp_path)
    assert found is not None and found.n_theirs == 10


@pytest.mark.slow
def test_filter_projection_windows_and_documents_without_the_field(
    tickets: Any, tmp_path: Path
) -> None:
    tickets.insert_many([*(ticket(n) for n in range(1, 9)), {"n": 90, "text": "no time"}])
    source = a_source(filter={"n": {"$ne": 3}}, incremental={"field": "at", "look_back": "2m"})
    asked = Window(EPOCH + dt.timedelta(minutes=2), EPOCH + dt.timedelta(minutes=5))
    assert extract(source, tmp_path, asked).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "extracted"
    assert extract(source, tmp_path).outcome == "nothing_new"
    assert numbers(tmp_path) == [[2, 4], [1, 2, 4, 5, 6, 7, 8, 90]]
    extract(a_source(projection={"n": 1}), tmp_path)
    assert set(landed(tmp_path)[-1][0]) == {"_id", "n"}


@pytest.mark.slow
def test_a_snapshot_is_landed_when_anything_changed_and_an_emptied_collection_deletes_nothing(
    tickets: Any, tmp_path: Path
) -> None:
    source = a_source(mode="snapshot")
    tickets.insert_many([ticket(n) for n in range(1, 5)])
    extract(source, tmp_path)
    assert extract(source, tmp_path).outcome == "nothing_new"
    tickets.delete_one({"n": 2})
    extract(source, tmp_path)
    tickets.delete_many({})
    assert "what was loaded stays" in extract(source, tmp_path).message
    assert numbers(tmp_path) == [[1, 2, 3, 4], [1, 3, 4]]


@pytest.mark.slow
def test_a_connection_that_breaks_off_between_batches_is_begun_anew_and_nothing_is_doubled(
    tickets: Any, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets.insert_many([ticket(n, more=LARGE) for n in range(1, 5001)])
    # 5,000 documents of 700 bytes in batches of 2,000: the way breaks off in the second
    with cutting(port, [2_000_000, 2_000_000, 2_500_000]) as way:
        monkeypatch.setenv("AIRFLOW_CONN_DESK", connection(way))
        result = extract(a_source(), tmp_path)
    assert result.outcome == "extracted", result.message
    assert manifests(tmp_path)[0].details["requests"] >= 2
    assert numbers(tmp_path) == [list(range(1, 5001))]


@pytest.mark.slow
def test_a_killed_extract_lands_nothing_and_the_next_one_everything_once(
    tickets: Any, tmp_path: Path
) -> None:
    tickets.insert_many([ticket(n, more=LARGE) for n in range(1, 6_001)])
    code = (
        "import sys; from pathlib import Path; from carelake.source import Source; "
        "from carelake.sources.mongodb import extract; folder = Path(sys.argv[2]); "
        "extract(Source.model_validate_json(sys.argv[1]), folder, folder)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, a_source().model_dump_json(), str(tmp_path)]
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("documents.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert manifests(tmp_path) == []
    assert extract(a_source(), tmp_path).outcome == "extracted"
    assert numbers(tmp_path) == [list(range(1, 6_001))]


@pytest.mark.slow
def test_a_collection_that_is_not_there_and_a_field_that_does_not_grow_are_told(
    tickets: Any, tmp_path: Path
) -> None:
    tickets.insert_one(ticket(1))
    missing = extract(a_source(collection="tikets"), tmp_path).message
    assert missing == "connection 'desk': there is no collection tikets; correct mongodb.collection"
    strange = extract(a_source(incremental={"field": "text"}), tmp_path).message
    assert (
        "incremental.field text holds str; name one of ObjectIds, dates or whole numbers" in strange
    )


def test_every_type_of_bson_becomes_plain_json() -> None:
    document = {
        "_id": ObjectId("65f0c0ffee65f0c0ffee65f0"), "at": dt.datetime(2024, 5, 1, 10, 0, 0, 500_000),
        "money": Decimal128("12.30"), "bytes": b"\x00\xff", "uid": uuid.UUID(int=1), "big": Int64(2**53 + 1),
        "nan": float("nan"), "nested": [{"at": dt.datetime(2024, 1, 1)}, None, True], "text": "中文😀\n",
    }  # fmt: skip
    options: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(
        tz_aware=True, uuid_representation=bson.binary.UuidRepresentation.STANDARD
    )
    received = bson.decode(bson.encode(document, codec_options=options), codec_options=options)
    assert "\n" not in line_of(received)
    assert json.loads(line_of(received)) == {
        "_id": "65f0c0ffee65f0c0ffee65f0", "at": "2024-05-01T10:00:00.500Z", "money": "12.30",
        "bytes": "AP8=", "uid": "00000000-0000-0000-0000-000000000001", "big": 2**53 + 1, "nan": "nan",
        "nested": [{"at": "2024-01-01T00:00:00.000Z"}, None, True], "text": "中文😀\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "passes", "said"),
    [
        (OperationFailure("Authentication failed.", 18), False, "correct login, password and authSource"),
        (OperationFailure("not authorized on desk", 13), False, "grant the role `read`"),
        (OperationFailure("unknown operator: $gte2", 2), False, "correct mongodb.filter"),
        (OperationFailure("cursor id 7 not found", 43), True, "not found"),
        (AutoReconnect("connection closed"), True, "closed"),
        (ServerSelectionTimeoutError("no servers found"), True, "no servers"),
    ],
)  # fmt: skip
def test_what_may_pass_is_told_from_what_does_not(
    error: PyMongoError, passes: bool, said: str
) -> None:
    found = _sorted_out(error)
    assert isinstance(found, Passing) == passes and said in str(found)


PAGE = Path(__file__).parents[3] / "docs" / "sources-databases.md"


@pytest.mark.slow
def test_the_yaml_of_the_page_shows_documents_as_they_would_land(
    tickets: Any, port: int, tmp_path: Path
) -> None:
    tickets.insert_many([ticket(n, state="open") for n in range(1, 4)])
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    (tmp_path / "sources.yml").write_text(f"sources:\n{blocks[2]}", encoding="utf-8")
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))},
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "AIRFLOW_CONN_CHAT": connection(port),
    }
    said = carelake("source", "test", "chat_tickets", env=env).stdout
    assert "3 documents" in said and "3 rows, 0 rejects" in said and "c1@example.org" in said
