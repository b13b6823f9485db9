"""Gates through the command line: batches held, released, discarded, mended; a mart that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.commands import carelake, rows
from tests.conftest import PEPPER

SOURCES = ("sound", "renamed", "garbled", "torn", "broken", "blank")
COLUMNS = "conversation_id: {id}, email: mail, category: topic, opened_at: opened"
HEAD = "id,mail,topic,opened\n"
TOO_MANY = {
    "name": "marts__limit",
    "meta": {"rows": "one row", "index": ["subject"]},
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "n", "max_value": 6},
            "meta": {"severity": "blocking", "why": "we never have that many conversations"},
        }
    ],
}
WHY = "gate marts: marts__limit: n 8, subject all (expected max_value 6): we never have that many conversations"


class Company:
    """A home with one small source per way to fail."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.map(renamed="id")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
        self.environment = {
            **kept,
            "CARELAKE_HOME": str(root / "home"),
            "CARELAKE_SOURCES": str(root / "sources.yml"),
            "CARELAKE_PEPPER": PEPPER,
        }

    def map(self, renamed: str) -> None:
        """Write the source list; the id of `renamed` has that name."""
        entries = "\n".join(
            f"  - {{name: {name}, kind: files, path: '{name}/*', channel: email, "
            f"format: {'json' if name == 'torn' else 'csv'}, entity: conversations, "
            f"columns: {{{COLUMNS.format(id=renamed if name == 'renamed' else 'id')}}}}}"
            for name in SOURCES
        )
        (self.root / "sources.yml").write_text(f"sources:\n{entries}\n")

    def put(self, name: str, text: str) -> None:
        """A file for a source."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def tell(self, *arguments: str, exit_code: int = 0) -> str:
        """All that a command says."""
        done = carelake(*arguments, env=self.environment, exit_code=exit_code)
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        """What `carelake status` knows."""
        found: dict[str, Any] = json.loads(self.tell("status", "--format", "json"))
        return found

    def conversations(self) -> list[str]:
        """Source and day of every conversation readers see; each file has days of its own."""
        query = """
            select source_name || strftime(opened_at, ' %m-%d') as name from fct_conversations
            order by 1
        """
        return [row["name"] for row in rows(query, self.environment)]

    def banner(self) -> tuple[int, str | None]:
        """(version, banner) in the published file."""
        marts = str(self.root / "home" / "published" / "marts.duckdb")
        with duckdb.connect(marts, read_only=True) as con:
            (row,) = con.execute("select version, banner from meta.publication").fetchall()
            return row[0], row[1]


def line(name: str, month: int, topic: str = "refund") -> str:
    return f"{name}{month},{name}@example.org,{topic},2024-{month:02d}-01 10:00\n"


@pytest.mark.slow
def test_what_a_gate_holds_is_seen_decided_and_mended_and_a_failed_mart_keeps_the_old_ones(
    tmp_path: Path,
) -> None:
    company = Company(tmp_path)
    case = {"id": "torn1", "mail": "t@example.org", "topic": "refund", "opened": "2024-01-01 10:00"}
    for name in SOURCES:
        company.put(f"{name}/1.csv", HEAD + line(name, 1))
    (tmp_path / "torn" / "1.csv").unlink()
    company.put("torn/1.json", json.dumps([case]))
    company.tell("run")
    first = [f"{name} 01-01" for name in sorted(SOURCES)]
    assert company.conversations() == first

    # five ways to be at fault, each in a batch of its own, and a mart that fails its gate
    company.put("sound/2.csv", HEAD + line("sound", 2))
    company.put("renamed/2.csv", HEAD.replace("id", "ticket") + line("renamed", 2))
    company.put("garbled/2.csv", HEAD + line("garbled", 2, "re\ufffdund"))
    company.put("torn/2.json", '[{"id": "torn2"}, {"id": ')
    company.put("broken/2.csv", HEAD + line("broken", 2) + line("broken", 3).replace(",", ";"))
    company.put("blank/2.csv", "")
    custom = tmp_path / "custom" / "expectations"
    for folder, name, text in (
        ("suites", "marts__limit.json", json.dumps(TOO_MANY)),
        ("queries", "marts__limit.sql", "select 'all' as subject, count(*) as n from marts.fct_conversations"),
    ):  # fmt: skip
        (custom / folder).mkdir(parents=True, exist_ok=True)
        (custom / folder / name).write_text(text)
    said = company.tell("run", exit_code=1)

    # what was published stays, and says why it is old
    assert WHY in said
    assert company.conversations() == first
    version, banner = company.banner()
    assert version == 2
    assert banner is not None and banner.endswith(f"newer data is held back because {WHY}")
    state = company.status()
    assert state["published"]["banner"] == banner
    assert state["blocked"] == WHY.removeprefix("gate marts: ")
    assert banner in company.tell("status")
    with duckdb.connect(str(tmp_path / "home" / "published" / "ops.duckdb"), read_only=True) as con:
        failed = con.execute("select step, detail from steps where outcome = 'failed'").fetchall()
        assert failed == [("check_marts", f"{WHY}; what was published before stays")]

    # the same again, as a scheduler would try it, tells readers nothing they do not know
    again = "from carelake import pipeline; pipeline.run_step('check_marts')"
    tried = subprocess.run(
        [sys.executable, "-c", again], env=company.environment, capture_output=True, check=False
    )
    assert tried.returncode == 1
    assert company.banner() == (2, banner)

    # the held batches are seen, with their reasons, and every account closes
    held = {batch["batch"]: batch["reason"] for batch in state["batches"]}
    assert sorted(held) == [f"{n}-000002" for n in ("blank", "garbled", "renamed", "torn")]
    assert all(held.values()), held
    accounts = {account["source"]: account for account in state["accounts"]}
    assert all(account["closes"] == "✓" for account in accounts.values())
    assert {name for name in SOURCES if accounts[name]["held"]} == {"renamed", "garbled"}
    assert accounts["broken"]["rejects"] == accounts["torn"]["rejects"] == 1
    shown = json.loads(company.tell("quarantine", "show", "broken", "--format", "json"))
    assert [(r["file"], r["line"], r["text"]) for r in shown] == [
        ("broken/2.csv", 3, line("broken", 3).replace(",", ";").strip())
    ]

    # a person decides; a mapping is mended and replayed; files are mended at the source
    company.tell("batch", "release", "garbled-000002")
    company.tell("batch", "discard", "torn-000002")
    assert {b["batch"]: b["state"] for b in company.status()["batches"]} == {
        "garbled-000002": "released", "torn-000002": "discarded", "renamed-000002": "held",
        "blank-000002": "held",
    }  # fmt: skip
    company.map(renamed="ticket")
    for _ in range(2):
        assert "renamed-000002: 1 rows, 0 rejects" in company.tell(
            "quarantine", "replay", "renamed-000002"
        )
    waiting = {a["source"]: a["waiting"] for a in company.status()["accounts"]}
    assert waiting["renamed"] == 1
    company.put("torn/2.json", json.dumps([{**case, "id": "torn2", "opened": "2024-02-01 10:00"}]))
    company.put("broken/2.csv", HEAD + line("broken", 2) + line("broken", 3))

    # the gate is content: what is held stays out, and every other row is there exactly once
    (custom / "suites" / "marts__limit.json").unlink()
    company.tell("run")
    new = [
        "sound 02-01",
        "broken 02-01",
        "garbled 02-01",
        "renamed 02-01",
        "torn 02-01",
        "broken 03-01",
    ]
    assert company.conversations() == sorted([*first, *new])
    assert company.banner() == (3, None)
    state = company.status()
    assert state["blocked"] is None and state["published"]["banner"] is None
    assert all(account["closes"] == "✓" for account in state["accounts"])
    assert [b["batch"] for b in state["batches"] if b["state"] == "held"] == ["blank-000002"]
    assert company.tell("rollback").startswith("version 1 is current")
    assert company.conversations() == first
    said = company.tell("publish", exit_code=1)
    assert "publishing is held" in said and "--release" in said
    company.tell("publish", "--release")
    assert company.conversations() == sorted([*first, *new])
