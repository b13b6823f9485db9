from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from carelake import journal, pipeline
from carelake.errors import RunFailed
from carelake.progress import Progress
from carelake.settings import Context, Home
from tests.carelake.keeping.conftest import SOURCES
from tests.chaos.lane import SmallDisk, can_mount
from tests.commands import carelake
from tests.conftest import PEPPER


def lines(home: Home) -> list[dict[str, object]]:
    text = (home.logs / journal.NAME).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _many(root: Path, writer: int) -> None:
    for number in range(100):
        journal.write(Home(root), "step", step="x" * 500, writer=writer, rows=number)


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    workers = [multiprocessing.Process(target=_many, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = [(line["writer"], line["rows"]) for line in lines(home)]
    assert sorted(found) == [(n, number) for n in range(3) for number in range(100)]
    assert stat.S_IMODE((home.logs / journal.NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.logs.stat().st_mode) == 0o700


def test_a_journal_stays_within_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 1000)
    home = Home(tmp_path)
    for number in range(100):
        journal.write(home, "step", rows=number)
    files = sorted(path.name for path in home.logs.glob("carelake*"))
    assert files == ["carelake.jsonl", *(f"carelake.jsonl.{n}" for n in range(1, 6))]
    assert all((home.logs / name).stat().st_size <= 1000 for name in files)
    assert lines(home)[-1]["rows"] == 99


@pytest.mark.skipif(not can_mount(), reason="only who may mount can make a small disk")
def test_a_full_disk_leaves_no_half_line_and_stops_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with SmallDisk(tmp_path) as disk:
        journal.write(home, "step", rows=0)
        disk.leave(8192)
        for number in range(1, 400):
            journal.write(home, "step", rows=number, step="x" * 150)
        disk.make_room()
        journal.write(home, "step", rows=1000)
        rows = [line["rows"] for line in lines(home)]
        assert rows[0] == 0 and rows[-1] == 1000 and 2 < len(rows) < 400


def test_every_command_step_source_and_batch_is_told_without_values(
    tmp_path: Path, make_context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx: Context = make_context(SOURCES)  # type: ignore[operator]
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "notes-1.csv").write_text("id,text\n1,call 13800138000\nbroken\n")
    env = {
        "CARELAKE_HOME": str(ctx.home.root),
        "CARELAKE_SOURCES": str(ctx.sources.path),
        "CARELAKE_PEPPER": PEPPER,
    }
    carelake("extract", "notes", env=env)
    pipeline.perform(ctx, "load", Progress(quiet=True))
    carelake("sql", "select 'alice@example.com'", env=env, exit_code=1)  # nothing published yet

    def fail(ctx: Context, progress: Progress) -> None:
        raise RunFailed("row 3: alice@example.com is no number", public="a gate failed")

    monkeypatch.setitem(pipeline.STEPS, "publish", fail)  # type: ignore[arg-type]
    with pytest.raises(RunFailed):
        pipeline.perform(ctx, "publish", Progress(quiet=True))
    found = lines(ctx.home)
    kinds = [
        (line["event"], line.get("step") or line.get("command"), line["outcome"]) for line in found
    ]
    assert kinds == [
        ("source", "extract", "extracted"),
        ("batch", "extract", "extracted"),
        ("step", "extract", "done"),
        ("command", "extract", "done"),
        ("batch", "load", "loaded"),
        ("step", "load", "done"),
        ("command", "sql", "failed"),
        ("step", "publish", "failed"),
    ]
    assert found[4] | {"at": "", "run_id": ""} == {
        "at": "", "event": "batch", "run_id": "", "step": "load", "source": "notes",
        "batch": "notes-000001", "outcome": "loaded", "rows": 1, "rejects": 1,
    }  # fmt: skip
    assert (found[-1]["error"], found[-1]["reason"]) == ("RunFailed", "a gate failed")
    text = (ctx.home.logs / journal.NAME).read_text()
    assert not any(word in text for word in ("alice", "13800138000", PEPPER))
