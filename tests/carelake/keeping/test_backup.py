from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from carelake.errors import CarelakeError, ConfigError, RunFailed
from carelake.keeping.backup import backup
from carelake.keeping.backup_format import MANIFEST, Damaged, verify
from carelake.keeping.restore import restore
from carelake.landing import manifests
from carelake.settings import Context, Home
from carelake.warehouse.connection import connect, write_lock
from carelake.warehouse.publish import current_version
from carelake.warehouse.published import published_fingerprint
from tests.chaos.lane import SmallDisk, can_mount
from tests.commands import carelake
from tests.conftest import PEPPER

FORMS = ("saved", "saved.tar.zst")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_becomes_the_same_home_elsewhere(lake: Context, tmp_path: Path, form: str) -> None:
    saved = backup(lake, tmp_path / form)
    assert verify(saved.path).fingerprint == published_fingerprint(lake.home)
    there = Home(tmp_path / "there" / "var")
    assert restore(saved.path, there).compared
    assert published_fingerprint(there) == published_fingerprint(lake.home)
    assert current_version(there) == current_version(lake.home) == 1
    assert [m.damage(there.landing) for m in manifests(there.landing)] == [{}, {}]
    tables = "select batch_id, n_raw from ops.ledger order by 1"
    with connect(lake.home) as here, connect(there) as other:
        assert here.execute(tables).fetchall() == other.execute(tables).fetchall()
        ids = "select list(communication_id order by communication_id) from raw.communications"
        assert here.execute(ids).fetchone() == other.execute(ids).fetchone()


def test_mlflows_addresses_lead_to_the_new_place(lake: Context, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")
    restore(backup(lake, tmp_path / "saved").path, there)
    with sqlite3.connect(there.mlflow_dir / "mlflow.db") as con:
        found = con.execute(
            "select artifact_uri from runs union all select artifact_location from logged_models "
            "union all select storage_location from model_versions union all "
            "select artifact_location from experiments"
        ).fetchall()
        assert con.execute("select source from model_versions").fetchall() == [("models:/m-1",)]
    con.close()
    for (address,) in found:
        folder = Path(address.removeprefix("file://"))
        assert folder.is_relative_to(there.mlflow_artifacts)
        assert (folder / "model.skops").exists()


def test_a_flipped_bit_is_found_and_its_file_is_named(lake: Context, tmp_path: Path) -> None:
    saved = backup(lake, tmp_path / "saved").path
    names = list(verify(saved).files)
    for part in ("warehouse.duckdb", "landing/", "published/", "mlflow/artifacts"):
        name = next(n for n in names if n.startswith(part))
        middle = (saved / name).stat().st_size // 2
        flip(saved / name, middle)
        with pytest.raises(Damaged, match="changed: ") as error:
            verify(saved)
        assert name in str(error.value)
        if part == "landing/":
            with pytest.raises(Damaged):
                restore(saved, Home(tmp_path / "there"))
            assert not (tmp_path / "there").exists()
        flip(saved / name, middle)
    verify(saved)


def test_no_place_of_a_packed_backup_or_of_a_manifest_may_be_damaged(
    lake: Context, tmp_path: Path
) -> None:
    packed = backup(lake, tmp_path / "saved.tar.zst").path
    whole = packed.read_bytes()
    for share in (0.01, 0.2, 0.5, 0.8, 0.99):
        packed.write_bytes(whole)
        flip(packed, int(len(whole) * share))
        with pytest.raises(Damaged, match=r"beyond .+; take another|changed|backup.json"):
            verify(packed)
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged):
        verify(packed)
    folder = backup(lake, tmp_path / "saved").path
    said = (folder / MANIFEST).read_text().replace('"as_of": "2024-05-01', '"as_of": "2024-06-01')
    (folder / MANIFEST).write_text(said)
    with pytest.raises(RunFailed, match="backup.json is damaged"):
        verify(folder)
    shutil.rmtree(folder)
    folder = backup(lake, tmp_path / "saved").path
    next(folder.glob("landing/notes/*/0001-*")).unlink()
    (folder / "stray.txt").write_text("?")
    with pytest.raises(Damaged, match=r"missing: landing/notes/.*not of the backup: stray\.txt"):
        verify(folder)


def test_nobody_else_can_read_a_backup_and_secrets_may_stay_out(
    lake: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.home.pepper_file.write_text(PEPPER)
    (lake.home.state / "secrets.json").write_text('{"jwt_secret": "only-for-servers"}')
    saved = backup(lake, tmp_path / "saved").path
    packed = backup(lake, tmp_path / "saved.tar.zst").path
    modes = {stat.S_IMODE(p.stat().st_mode) for p in [*saved.rglob("*"), packed] if p.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700
    assert (saved / "pepper").read_text() == PEPPER
    bare = backup(lake, tmp_path / "bare", with_secrets=False).path
    for path in (p for p in bare.rglob("*") if p.is_file()):
        assert PEPPER.encode() not in path.read_bytes(), path
        assert b"only-for-servers" not in path.read_bytes(), path
    monkeypatch.delenv("CARELAKE_PEPPER")
    with pytest.raises(ConfigError, match="holds no pepper"):
        restore(bare, Home(tmp_path / "there"))
    monkeypatch.setenv("CARELAKE_PEPPER", "another")
    with pytest.raises(ConfigError, match="is not the pepper"):
        restore(bare, Home(tmp_path / "there"))
    assert not (tmp_path / "there").exists()
    monkeypatch.delenv("CARELAKE_PEPPER")
    assert restore(packed, Home(tmp_path / "there")).compared


def test_a_restore_replaces_nothing_and_goes_on_after_a_kill(lake: Context, tmp_path: Path) -> None:
    saved = backup(lake, tmp_path / "saved").path
    with pytest.raises(ConfigError, match="is not empty"):
        restore(saved, lake.home)
    there = Home(tmp_path / "there")
    (there.root / ".restoring" / "landing").mkdir(parents=True)  # what a killed one left
    restore(saved, there)
    assert published_fingerprint(there) == published_fingerprint(lake.home)
    with pytest.raises(ConfigError, match="is there already"):
        backup(lake, saved)
    with pytest.raises(ConfigError, match="lies in the home"):
        backup(lake, lake.home.root / "saved")
    said = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps({**said, "format": 99}))
    with pytest.raises(ConfigError, match="in a form this one does not know"):
        restore(saved, Home(tmp_path / "other"))


def test_a_later_backup_links_the_landed_files_an_earlier_one_has(
    lake: Context, tmp_path: Path
) -> None:
    first = backup(lake, tmp_path / "first").path
    second = backup(lake, tmp_path / "second", base=first).path
    name = next(n for n in verify(second).files if n.endswith("0001-notes-1.csv"))
    assert (first / name).stat().st_ino == (second / name).stat().st_ino
    assert (first / "warehouse.duckdb").stat().st_nlink == 1


def test_a_damaged_landed_file_is_saved_as_it_is_and_named(lake: Context, tmp_path: Path) -> None:
    landed = next(lake.home.landing.glob("notes/notes-000001/0001-*"))
    flip(landed, 20)
    gone = next(lake.home.landing.glob("notes/notes-000002/0001-*"))
    gone.unlink()
    saved = backup(lake, tmp_path / "saved")
    assert len(saved.manifest.damaged) == 2
    assert any(str(landed) in line for line in saved.manifest.damaged)
    verify(saved.path)
    next(lake.home.landing.glob("notes/notes-000002/manifest.json")).write_text("{")
    saved = backup(lake, tmp_path / "again")
    assert "notes-000002/manifest.json: is no manifest any more" in saved.manifest.damaged[-1]
    assert any(name.endswith("notes-000002/manifest.json") for name in saved.manifest.files)


def test_a_backup_waits_for_the_writer_and_not_for_another_keeper(
    lake: Context, tmp_path: Path
) -> None:
    from carelake.keeping.lock import keeping_lock

    with keeping_lock(lake.home, "tidy"), pytest.raises(RunFailed, match=r"held by `tidy`"):
        backup(lake, tmp_path / "saved")
    with write_lock(lake.home, "a step"):  # ours: a step may call another
        backup(lake, tmp_path / "saved")


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only who may mount can make a small disk")
@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_no_half_backup(lake: Context, tmp_path: Path, form: str) -> None:
    target = tmp_path / "disk"
    target.mkdir()
    environment = {
        "CARELAKE_HOME": str(lake.home.root),
        "CARELAKE_SOURCES": str(lake.sources.path),
        "CARELAKE_PEPPER": PEPPER,
    }
    with SmallDisk(target) as disk:
        for room in (100_000, 2_000_000):
            disk.leave(room)
            try:
                backup(lake, target / form)
            except CarelakeError as error:
                assert "the disk there is full" in str(error)
            else:
                pytest.fail("it fitted")
            assert list(target.iterdir()) == []
        if form == "saved":
            done = carelake("backup", str(target / form), env=environment, exit_code=1)
            assert str(target / form) in done.stderr and "Traceback" not in done.stderr
            assert list(target.iterdir()) == []
    assert not (lake.home.root / "backup.part").exists()
