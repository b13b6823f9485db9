from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from carelake.keeping import tidy
from carelake.landing import Manifest, manifests, pack_file, sha256_of
from carelake.settings import Context
from carelake.warehouse.connection import connect
from carelake.warehouse.fingerprint import relation_fingerprint
from carelake.warehouse.load import load
from carelake.warehouse.quarantine import replay
from tests.carelake.keeping.conftest import SOURCES, extract_all

SETTINGS = "keeping: {pack_after_days: 0}"


@pytest.fixture
def ctx(tmp_path: Path, make_context: Callable[..., Context]) -> Context:
    ctx = make_context(SOURCES, settings=SETTINGS)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "notes-1.csv").write_text("id,text\n" + "".join(f"{n},hello\n" for n in range(2000)))
    (inbox / "notes-2.csv").write_bytes(b"id,text\n7001,\xff\xfe\n7002,good\n")
    extract_all(ctx)
    load(ctx)
    return ctx


def raw(ctx: Context) -> dict[str, object]:
    clocks = frozenset({"extracted_at"})
    with connect(ctx.home) as con:
        return {
            "rows": relation_fingerprint(con, "raw.communications", clocks),
            "rejects": relation_fingerprint(con, "ops.structural_rejects", clocks),
        }


def batch(ctx: Context) -> Manifest:
    (only,) = manifests(ctx.home.landing)
    return only


def landing_bytes(ctx: Context) -> int:
    return sum(path.stat().st_size for path in ctx.home.landing.rglob("0*"))


def test_packed_files_keep_their_bytes_and_load_again_to_the_same_rows(ctx: Context) -> None:
    before, size = raw(ctx), landing_bytes(ctx)
    originals = {file.landed: file.sha256 for file in batch(ctx).files}
    assert [each.kind for each in tidy.tidy(ctx, dry_run=True)] == ["landing"]
    assert landing_bytes(ctx) == size
    (freed,) = tidy.tidy(ctx)
    assert freed.kind == "landing" and landing_bytes(ctx) == size - freed.n_bytes < size / 2
    packed = batch(ctx)
    assert {file.landed: file.sha256 for file in packed.files} == originals
    assert [file.is_packed for file in packed.files] == [True, False]  # the second gains nothing
    assert packed.damage(ctx.home.landing) == {}
    folder = packed.folder(ctx.home.landing)
    plain = zstandard.ZstdDecompressor().stream_reader(
        (folder / packed.files[0].stored).read_bytes()
    )
    assert b"1999,hello" in plain.read()
    replay(ctx, [packed.batch_id])
    assert raw(ctx) == before
    assert tidy.tidy(ctx) == []  # a second time there is nothing to do


def test_a_damaged_packed_file_is_named(ctx: Context) -> None:
    tidy.tidy(ctx)
    manifest = batch(ctx)
    path = manifest.folder(ctx.home.landing) / str(manifest.files[0].stored)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.chmod(0o600)
    path.write_bytes(content)
    assert str(path) in manifest.damage(ctx.home.landing)[manifest.files[0].landed]


def test_a_file_that_was_damaged_before_is_left_for_its_batch_to_say_so(
    ctx: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = batch(ctx)
    path = manifest.folder(ctx.home.landing) / manifest.files[0].landed
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"hello", b"hallo"))
    assert tidy.tidy(ctx) == []
    assert "has not the bytes that were extracted" in capsys.readouterr().err
    assert path.exists() and not batch(ctx).files[0].is_packed


def test_a_killed_packing_is_finished_by_the_next(ctx: Context) -> None:
    manifest = batch(ctx)
    folder = manifest.folder(ctx.home.landing)
    pack_file(folder, manifest.files[0])  # killed before the manifest said so
    assert manifest.damage(ctx.home.landing) == {}
    (freed,) = tidy.tidy(ctx)
    assert freed.n == 1 and not (folder / manifest.files[0].landed).exists()
    assert sha256_of(folder / str(batch(ctx).files[0].stored))


def test_a_servers_full_log_is_cut_while_it_is_written(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidy.tidy(ctx)
    monkeypatch.setattr(tidy, "LARGEST_SERVER_LOG", 1000)
    log = ctx.home.state / "logs" / "scheduler.log"
    log.parent.mkdir()
    with log.open("a") as server:
        for round_ in range(3):
            print("x" * 2000, file=server, flush=True)
            assert [each.n for each in tidy.tidy(ctx)] == [1]
            print(f"round {round_}", file=server, flush=True)
            assert log.read_text() == f"round {round_}\n"
    assert sum(path.stat().st_size for path in log.parent.iterdir()) < 2100
    assert tidy.tidy(ctx) == []


def test_drafts_and_logs_go_when_they_are_old_and_not_before(ctx: Context) -> None:
    tidy.tidy(ctx)
    old, young = time.time() - 40 * 86_400, time.time()
    home = ctx.home
    for name in ("a", "b", "c", "d"):
        (home.scores / name).mkdir(parents=True)
        os.utime(home.scores / name, (young + ord(name),) * 2)
    for folder, name in (
        (home.dbt / "logs", "dbt.log"), (home.features, "x.part"), (home.logs, "carelake.jsonl.1"),
    ):  # fmt: skip
        for age, prefix in ((old, ""), (young, "new-")):
            path = folder / (prefix + name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            os.utime(path, (age, age))
    freed = {each.kind: each.n for each in tidy.tidy(ctx)}
    assert freed == {"scores": 1, "leftovers": 1, "logs": 2}
    assert not (home.scores / "a").exists() and (home.dbt / "logs" / "new-dbt.log").exists()
    assert (home.features / "new-x.part").exists() and not (home.features / "x.part").exists()
