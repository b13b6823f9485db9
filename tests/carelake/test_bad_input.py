"""Whole runs over sources that are missing, empty, torn, wrongly encoded or changed."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.commands import carelake, rows
from tests.conftest import PEPPER

COLUMNS = "columns: {conversation_id: id, email: mail, category: topic, opened_at: opened}"
SOURCES = ("good", "missing", "folder", "blank", "torn", "foreign", "renamed", "cut")
CASE = {"mail": "cut@example.org", "topic": "delivery", "opened": "2024-05-03 10:00"}
GOOD = "id,mail,topic,opened\n{0}1,{0}1@example.org,delivery,2024-05-01 10:00\n{0}2,{0}2@example.org,refund,2024-05-02 10:00\n"


class Company:
    """A home with one small source per kind of fault."""

    def __init__(self, root: Path) -> None:
        """Write the source list; nothing runs yet."""
        self.root = root
        entries = "\n".join(
            f"  - {{name: {name}, kind: files, path: '{name}{'' if name == 'folder' else '/*'}', channel: email, "
            f"format: {'json' if name == 'cut' else 'csv'}, entity: conversations, {COLUMNS}}}"
            for name in SOURCES
        )
        self.write("sources.yml", f"sources:\n{entries}\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
        self.environment = {
            **kept,
            "CARELAKE_HOME": str(root / "home"),
            "CARELAKE_SOURCES": str(root / "sources.yml"),
            "CARELAKE_PEPPER": PEPPER,
        }

    def write(self, name: str, content: str | bytes) -> None:
        """Put a file where a source looks for it."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, exit_code: int = 0) -> str:
        """All that a run says."""
        done = carelake("run", env=self.environment, exit_code=exit_code)
        return done.stdout + done.stderr

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query on the published marts."""
        return rows(query, self.environment)

    def loaded(self) -> dict[str, int]:
        """Conversations in the published mart, by source."""
        found = self.ask("select source_name, count(*) as n from fct_conversations group by all")
        return {row["source_name"]: row["n"] for row in found}


@pytest.mark.slow
def test_a_faulty_source_is_held_or_rejected_and_the_others_are_published(tmp_path: Path) -> None:
    company = Company(tmp_path)
    sound = ("good", "blank", "torn", "foreign", "renamed")
    for name in sound:
        company.write(f"{name}/1.csv", GOOD.format(name))
    company.write("cut/1.json", json.dumps([{**CASE, "id": n} for n in (1, 2)]))
    (tmp_path / "folder").mkdir()
    said = company.run()
    before = company.loaded()
    assert before == dict.fromkeys((*sound, "cut"), 2)
    assert f"source missing gave nothing: no file matches {tmp_path}/missing/*" in said
    assert f"source folder gave nothing: {tmp_path}/folder is a folder" in said

    company.write("good/2.csv", GOOD.format("new"))
    company.write("blank/2.csv", "")
    company.write("torn/2.csv.gz", gzip.compress(GOOD.format("x").encode() * 500)[:-40])
    company.write("foreign/2.csv", GOOD.format("f").replace("refund", "退款退货").encode("gb18030"))
    company.write("renamed/2.csv", GOOD.format("r").replace("id,mail", "ticket,mail"))
    company.write("cut/2.json", '[{"id": "cut3"}, {"id": ')
    said = company.run()

    # nothing of before is lost, and what is sound of the new is there
    assert company.loaded() == {**before, "good": 4, "foreign": 3}
    assert company.ask("select * from source_runs where not is_balanced") == []
    failed = company.ask(
        "select distinct source_name, batch_id, n_raw, split_part(error, ';', 2) as mend "
        "from source_runs where outcome = 'failed' order by all"
    )
    assert [(row["source_name"], row["batch_id"], row["n_raw"]) for row in failed] == [
        ("folder", None, 0), ("missing", None, 0),
    ]  # fmt: skip
    assert failed[1]["mend"] == " put one there or correct `path`"
    assert company.ask(
        "select source_name, reason from rejected_rows where reason like '%text%'"
    ) == [{"source_name": "foreign", "reason": "is not valid text in the file's encoding"}]
    reasons = {
        "blank": "the batch is empty",
        "torn": "torn/2.csv.gz cannot be read: Compressed file ended before",
        "renamed": "the id column was renamed or lost",
        "cut": "cut/2.json cannot be read",
    }
    status = json.loads(carelake("status", "--format", "json", env=company.environment).stdout)
    notes = {source["source"]: source for source in status["sources"]}
    listed = carelake("quarantine", "list", env=company.environment).stdout
    for name, reason in reasons.items():
        assert notes[name]["held"] == 1, name
        assert reason in notes[name]["note"]
        assert f"{name}-000002: " in said and reason in said
        assert name in listed
    assert "is a folder" in notes["folder"]["note"]
    assert "no file matches" in notes["missing"]["note"]
    assert notes["good"]["held"] == notes["foreign"]["held"] == 0


def test_a_wrong_source_list_stops_a_run_before_anything_is_touched(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.write("good/1.csv", GOOD.format("good"))
    carelake("init", env=company.environment)
    home = tmp_path / "home"

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in home.rglob("*")
            if path.parts[len(home.parts)] != "logs"  # the journal tells of every command
        }

    before = state()
    written = (tmp_path / "sources.yml").read_text(encoding="utf-8")
    company.write("sources.yml", written.replace("opened_at: opened", "opend: opened", 1))
    said = company.run(exit_code=2)
    assert state() == before
    assert len(said.splitlines()) == 1 and "Traceback" not in said
    assert "sources.yml" in said and "opend" in said and "opened_at" in said
