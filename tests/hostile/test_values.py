"""Values no program likes, in every column, through a whole run."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from carelake.entities import ENTITIES, TIME_COLUMNS
from tests.commands import carelake, rows
from tests.conftest import PEPPER
from tests.hostile.texts import NASTY

TIMES = [
    "0000-01-01 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "10000-01-01", "99999-12-31T00:00:00Z", "-0001-01-01", "infinity",
    "-infinity", "290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54", "2024-02-29", "2023-02-29", "2024-03-31 02:30:00", "9999999999",
    "9999999999999", "0", "-1", "1e10", "today", "epoch", "2024-01-01T00:00:00+99:99", "9999-12-31T23:59:59-12:00",
]  # fmt: skip
NUMBERS = [
    "1e400",
    "9" * 400,
    "-1",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "٣",
    "1e-400",
    "99999999999999999999",
]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
MAPPED = {name: columns for name, columns in ENTITIES.items() if name != "agents"}


def write(folder: Path, entity: str) -> int:
    """One file per entity: each column in turn takes each nasty value. Gives its records."""
    columns = ENTITIES[entity]
    plain = {
        **{c: "2024-05-01 10:00:00" for c in columns if c in TIME_COLUMNS and c != "updated_at"},
        "email": "a@example.org", "channel": "email", "survey_kind": "csat", "survey_score": "4", "amount": "5", "status": "open",
        "direction": "inbound", "order_id": "o1", "product_name": "cup", "quantity": "1", "unit_price": "2", "event_name": "click", "call_id": "call-1",
    }  # fmt: skip
    records = []
    for column in columns:
        for i, value in enumerate([*NASTY, *TIMES, *NUMBERS, EVIL]):
            record = {c: plain.get(c, "") for c in columns}
            record[columns[0]] = f"{column}-{i}"
            record[column] = value
            records.append(record)
    (folder / entity).mkdir(parents=True)
    with (folder / entity / "1.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(records)
    return len(records)


@pytest.mark.slow
def test_a_run_over_values_nobody_likes_publishes_and_every_row_is_accounted_for(
    tmp_path: Path,
) -> None:
    written = {entity: write(tmp_path / "in", entity) for entity in MAPPED}
    sources = [
        {"name": entity, "kind": "files", "path": f"in/{entity}/*.csv", "format": "csv", "entity": entity, "timezone": "Asia/Shanghai",
         "columns": {column: column for column in columns}}
        for entity, columns in MAPPED.items()
    ]  # fmt: skip
    (tmp_path / "sources.yml").write_text(json.dumps({"sources": sources}))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    env = {
        **kept,
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "CARELAKE_PEPPER": PEPPER,
    }
    said = carelake("run", env=env, timeout=900)
    assert "\x1b" not in said.stdout + said.stderr
    print(said.stdout, said.stderr)  # shown when what follows fails
    runs = rows("select * from source_runs", env)
    assert all(run["is_balanced"] for run in runs)
    assert {run["source_name"]: run["n_physical"] for run in runs} == written
    assert "Held" not in said.stdout
    times = rows(
        "select min(year(sent_at)) as first, max(year(sent_at)) as last from fct_communications",
        env,
    )
    assert times[0]["first"] is None or 1 <= times[0]["first"] <= times[0]["last"] <= 9999
    for command in (
        ["status"],
        ["quarantine", "list"],
        ["quarantine", "show", "--limit", "3000"],
        ["fingerprint"],
    ):
        output = carelake(*command, env=env).stdout
        assert "\x1b" not in output and "\u202e" not in output
    for page in (tmp_path / "home" / "data_docs").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>alert(1)" not in text and "<img src=x" not in text, page
