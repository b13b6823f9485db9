from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake.landing import manifests
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.sources.names import PAGE
from carelake.warehouse.load import load

NOTES = """
    sources:
      - name: notes
        kind: files
        path: inbox/notes*.csv
        format: csv
        entity: communications
        columns: {body: text}
"""
SNAPSHOT = NOTES.replace(
    "columns: {body: text}", "columns: {communication_id: id}\n        mode: snapshot"
)


def extract(ctx: Context) -> tuple[str, list[str]]:
    result = extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    return result.outcome, result.batches


def put(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "inbox" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_bytes_land_unchanged_with_a_manifest_and_come_once(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    put(tmp_path, "notes-1.csv", "text\nhallo\n")
    assert extract(ctx) == ("extracted", ["notes-000001"])
    assert extract(ctx) == ("nothing_new", [])
    (manifest,) = manifests(ctx.home.landing)
    landed = manifest.folder(ctx.home.landing) / manifest.files[0].landed
    assert landed.read_text(encoding="utf-8") == "text\nhallo\n"
    assert manifest.files[0].name == "inbox/notes-1.csv"


def test_a_touched_file_is_not_new_and_a_changed_one_is_whatever_its_times_say(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    path = put(tmp_path, "notes-1.csv", "text\nhallo\n")
    extract(ctx)
    os.utime(path, (1, 1))
    assert extract(ctx)[0] == "nothing_new"
    path.write_text("text\nhullo\n", encoding="utf-8")
    os.utime(path, (1, 1))
    # size and times are those of before: only a clock that went back could do this
    assert path.stat().st_size == len("text\nhallo\n")
    os.utime(path, (2, 2))
    assert extract(ctx) == ("extracted", ["notes-000002"])


def test_a_killed_extract_leaves_no_batch_and_the_next_one_takes_its_place(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    put(tmp_path, "notes-1.csv", "text\nhallo\n")
    torn = ctx.home.landing / "notes" / "notes-000001"
    torn.mkdir(parents=True)
    (torn / "0001-notes-1.csv").write_text("te")
    assert manifests(ctx.home.landing) == []
    assert extract(ctx) == ("extracted", ["notes-000001"])
    assert (torn / "0001-notes-1.csv").read_text() == "text\nhallo\n"


def test_a_missing_source_says_which_file_it_looked_for(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    result = extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    assert result.outcome == "failed"
    assert "inbox/notes*.csv" in result.message


def test_what_was_loaded_stays_when_the_file_is_gone_later(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(NOTES)
    put(tmp_path, "notes-1.csv", "text\nhallo\n")
    extract(ctx)
    shutil.rmtree(tmp_path / "inbox")
    assert extract(ctx)[0] == "nothing_new"
    assert len(manifests(ctx.home.landing)) == 1


def test_pages_make_one_snapshot_and_an_old_snapshot_never_replaces_a_newer_one(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(SNAPSHOT)
    put(tmp_path, "notes-2024-01-page-1.csv", "id\n1\n")
    put(tmp_path, "notes-2024-01-page-2.csv", "id\n2\n")
    put(tmp_path, "notes-2024-02.csv", "id\n1\n")
    assert extract(ctx) == ("extracted", ["notes-000001", "notes-000002"])
    assert [len(m.files) for m in manifests(ctx.home.landing)] == [2, 1]
    put(tmp_path, "notes-2024-01-page-2.csv", "id\n2\n3\n")
    assert extract(ctx)[0] == "nothing_new"


@pytest.mark.parametrize("word", ["backup", "shop", "crm-dump", "mp", "chart"])
def test_a_word_that_ends_like_a_page_makes_no_pages(
    tmp_path: Path, make_context: Callable[..., Context], word: str
) -> None:
    ctx = make_context(SNAPSHOT)
    put(tmp_path, f"notes-{word}-20240430.csv", "id\n1\n2\n")
    put(tmp_path, f"notes-{word}-20240501.csv", "id\n1\n")
    assert extract(ctx) == ("extracted", ["notes-000001", "notes-000002"])
    assert [len(m.files) for m in manifests(ctx.home.landing)] == [1, 1]


@pytest.mark.parametrize("page", ["-page-1", "_Part2", ".p3", "p4", "-p-5"])
def test_pages_are_told_by_a_word_of_their_own(page: str) -> None:
    assert PAGE.sub("", f"notes-20240430{page}.csv") == "notes-20240430.csv"


def test_files_elsewhere_are_named_the_same_wherever_their_folder_lies(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    found = []
    for place in ("here", "over/there"):
        for name in ("2024/a.csv", "2025/a.csv", "2025/b.csv"):
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"text\n{name}\n")
        sources = NOTES.replace("inbox/notes*.csv", str(tmp_path / place / "*" / "*.csv"))
        (tmp_path / "conf").mkdir(exist_ok=True)
        ctx = make_context(sources, home=place.replace("/", "-"))
        landing = ctx.home.landing
        extract_source(ctx.sources.sources[0], tmp_path / "conf", landing)
        load(ctx)
        with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
            found.append(
                con.execute(
                    "select file_name, body, communication_id from raw.communications order by all"
                ).fetchall()
            )
    assert found[0] == found[1]
    assert [row[0] for row in found[0]] == ["2024/a.csv", "2025/a.csv", "2025/b.csv"]
    assert len({row[2] for row in found[0]}) == 3


def test_a_home_that_knows_a_file_by_its_whole_path_does_not_take_it_twice(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    path = put(tmp_path, "notes-1.csv", "text\nhallo\n")
    ctx = make_context(NOTES.replace("inbox/notes*.csv", str(tmp_path / "inbox" / "*.csv")))
    (source,) = ctx.sources.sources
    base = tmp_path / "conf"
    extract_source(source, base, ctx.home.landing)
    (manifest,) = manifests(ctx.home.landing)
    assert manifest.files[0].name == "notes-1.csv"
    # as it was written when such files were named by their whole path
    file = manifest.folder(ctx.home.landing) / "manifest.json"
    file.write_text(file.read_text().replace('"notes-1.csv"', f'"{path}"'))
    assert extract_source(source, base, ctx.home.landing).outcome == "nothing_new"
    path.write_text("text\nhallo\nbye\n")
    assert extract_source(source, base, ctx.home.landing).outcome == "extracted"
    assert manifests(ctx.home.landing)[-1].files[0].name == str(path)
