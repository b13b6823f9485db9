from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.landing import manifests
from carelake.progress import Progress
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.connection import connect
from carelake.warehouse.load import load
from carelake.warehouse.quarantine import replay

SOURCES = """
    sources:
      - {name: notes, kind: files, path: inbox/notes*.csv, format: csv, entity: communications, columns: {communication_id: id, body: text}}
      - {name: other, kind: files, path: inbox/other.csv, format: csv, entity: communications, columns: {communication_id: id, body: text}}
"""


@pytest.fixture
def landed(tmp_path: Path, make_context: Callable[..., Context]) -> Context:
    """Two sources, landed and not loaded yet."""
    ctx = make_context(SOURCES)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "notes-1.csv").write_text("id,text\n1,good\n2,day\n")
    (tmp_path / "inbox" / "other.csv").write_text("id,text\n9,hello\n")
    extract(ctx)
    return ctx


def extract(ctx: Context) -> list[tuple[str, str]]:
    found = [extract_source(s, ctx.config_dir, ctx.home.landing) for s in ctx.sources.sources]
    return [(result.outcome, result.message) for result in found]


def data_file(ctx: Context) -> Path:
    path = next(ctx.home.landing.glob("notes/notes-000001/0001-*"))
    path.chmod(0o600)
    return path


def ledger(ctx: Context) -> dict[str, tuple[int, int, str]]:
    with connect(ctx.home) as con:
        rows = con.execute("select batch_id, batch_seq, n_raw, status from ops.ledger").fetchall()
    return {row[0]: row[1:] for row in rows}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10])


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"good", b"food"))


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_damaged_file_holds_its_batch_by_name_and_loads_once_it_is_put_back(
    landed: Context, damage: Callable[[Path], None]
) -> None:
    path = data_file(landed)
    whole = path.read_bytes()
    damage(path)
    held = load(landed)[0]
    assert held.n_raw == 0 and held.held_reason is not None
    assert "inbox/notes-1.csv is damaged in the landing zone" in held.held_reason
    assert str(path) in held.held_reason
    assert ledger(landed) == {"notes-000001": (1, 0, "held"), "other-000001": (2, 1, "arrived")}
    assert load(landed) == []  # as long as it is damaged, a run finds nothing new in it
    path.write_bytes(whole)
    assert [result.n_raw for result in load(landed)] == [2]
    assert ledger(landed)["notes-000001"] == (1, 2, "arrived")


def test_a_file_that_a_person_changed_is_taken_on_their_word_and_sealed_anew(
    landed: Context,
) -> None:
    flip(data_file(landed))
    load(landed)
    (result,) = replay(landed, ["notes-000001"])
    assert (result.n_raw, result.held_reason) == (2, None)
    assert manifests(landed.home.landing, "notes")[0].damage(landed.home.landing) == {}


def test_a_cut_manifest_stops_its_source_by_name_and_no_other(landed: Context) -> None:
    path = landed.home.landing / "notes" / "notes-000001" / "manifest.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    (outcome, message), (other, _) = extract(landed)
    assert (outcome, other) == ("failed", "nothing_new")
    assert str(path) in message
    said: list[str] = []
    progress = Progress(quiet=True)
    progress.say = said.append  # type: ignore[method-assign]
    assert [result.batch_id for result in load(landed, progress=progress)] == ["other-000001"]
    assert str(path) in said[0]
    path.write_text(whole)
    assert [result.batch_id for result in load(landed)] == ["notes-000001"]


def test_a_batch_that_was_landed_anew_after_its_manifest_was_lost_is_loaded_anew(
    landed: Context, tmp_path: Path
) -> None:
    load(landed)
    (landed.home.landing / "notes" / "notes-000001" / "manifest.json").unlink()
    (tmp_path / "inbox" / "notes-2.csv").write_text("id,text\n3,more\n")
    assert extract(landed)[0][0] == "extracted"
    assert [(r.batch_id, r.n_raw) for r in load(landed)] == [("notes-000001", 3)]
    assert ledger(landed)["notes-000001"] == (1, 3, "arrived")


def test_an_older_batch_that_lost_its_manifest_is_left_alone(
    landed: Context, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / "notes-2.csv").write_text("id,text\n3,more\n")
    extract(landed)
    lost = landed.home.landing / "notes" / "notes-000001"
    (lost / "manifest.json").unlink()
    (tmp_path / "inbox" / "notes-3.csv").write_text("id,text\n4,most\n")
    extract(landed)
    assert [m.batch_id for m in manifests(landed.home.landing, "notes")] == [
        "notes-000002",
        "notes-000003",
    ]
    assert len(list(lost.iterdir())) == 1


def test_what_a_killed_load_left_in_the_scratch_folder_is_gone_after_the_next(
    landed: Context,
) -> None:
    (landed.home.scratch / "tmpdead").mkdir(parents=True)
    load(landed)
    assert not list(landed.home.scratch.glob("*"))
