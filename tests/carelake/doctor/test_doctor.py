"""Every trouble the doctor knows is really made, and found; a sound home has none."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake.doctor import Finding, Level, Patient, examine, places, versions
from carelake.services.files import write_private
from carelake.settings import Context, Home
from carelake.warehouse.connection import write_lock
from carelake.warehouse.freshness import arrivals
from carelake.warehouse.publish import publish, rollback
from tests import small_marts
from tests.carelake.doctor.troubles import only, program
from tests.chaos.lane import SmallDisk, can_mount
from tests.commands import carelake

Look = Callable[..., list[Finding]]
NOW = dt.datetime.now(dt.UTC)


def test_a_sound_home_has_no_trouble_and_the_command_ends_well(lake: Context) -> None:
    environment = {
        **os.environ, "CARELAKE_HOME": str(lake.home.root), "CARELAKE_SOURCES": str(lake.sources.path)
    }  # fmt: skip
    found = json.loads(carelake("doctor", "--format", "json", env=environment).stdout)
    assert [one for one in found if one["level"] == "FAIL"] == []
    assert [one for one in found if one["level"] == "WARN" and one["check"] != "packages"] == []
    assert {"disk", "lock", "warehouse", "landing", "published", "freshness", "clock"} <= {
        one["check"] for one in found
    }

    # one FAIL and it ends with 1; a source list that cannot be read is one, and the rest is looked at
    lake.sources.path.write_text("sources: [{name: shop}]")
    said = carelake("doctor", env=environment, exit_code=1).stdout
    assert (
        f"FAIL  configuration  {lake.sources.path}: source 'shop'.kind: is missing; add it" in said
    )
    assert "OK    landing" in said and "→ mend what the message names" in said


def test_a_check_that_cannot_look_is_a_finding_and_the_others_go_on(lake: Context) -> None:
    write_private(lake.home.state / "ports.json", "no json")
    found = {one.check: one for one in examine(Patient(lake.home, lake, NOW))}
    assert found["ports"].level is Level.fail
    assert found["ports"].what.startswith("cannot be looked at: JSONDecodeError")
    assert found["databases" if "databases" in found else "services"].level is Level.ok


def test_packages_that_are_not_as_pinned_are_named_the_core_first(tmp_path: Path) -> None:
    lock = versions.LOCK.read_text()
    patient = Patient(Home(tmp_path), None, NOW)
    (sound,) = versions.packages(patient)
    assert sound.level is Level.ok, sound.what
    other = tmp_path / "requirements.lock"
    other.write_text(f"colourless==1.0.0 \\\n    --hash=x\n{lock.replace('typer==', 'typer==99.')}")
    (found,) = versions.packages(patient, other)
    assert found.level is Level.warn
    assert found.what.startswith("2 not as pinned: colourless is missing (1.0.0 pinned), typer ")
    other.write_text(lock.replace("\nduckdb==1", "\nduckdb==9"))
    (found,) = versions.packages(patient, other)
    assert found.level is Level.fail and "duckdb 1.5.5 (9.5.5 pinned)" in found.what


def test_a_home_without_its_secret_and_a_list_that_moved_are_told(
    lake: Context, look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert look("home") == []
    lake.home.remembered_sources.write_text(f"{tmp_path / 'gone.yml'}\n")
    assert only(look("home"))[1].endswith(f"{tmp_path / 'gone.yml'}, which is not there")
    lake.home.remembered_sources.unlink()
    monkeypatch.delenv("CARELAKE_PEPPER")
    level, what = only(look("home"))
    assert level == "FAIL" and "pepper is gone" in what
    new = places.home(Patient(Home(tmp_path / "new"), None, NOW))
    assert [one.what for one in new] == [f"{tmp_path / 'new'}: not a Carelake home yet"]


def test_a_disk_that_is_nearly_full_fails(tmp_path: Path) -> None:
    if not can_mount():
        pytest.skip("this user may not mount a small disk")
    disk, home = tmp_path / "disk", Home(tmp_path / "disk" / "home")
    disk.mkdir()
    with SmallDisk(disk):  # of one gigabyte
        (found,) = places.disk(Patient(home, None, NOW))
        assert found.level is Level.warn and " GB free on the disk of " in found.what
        home.root.mkdir()
        with home.warehouse.open("wb") as file:
            file.truncate(2 * 10**9)
        (found,) = places.disk(Patient(home, None, NOW))
        assert found.level is Level.fail and found.what.endswith("the warehouse has 2.0 GB")


def test_a_home_on_a_network_file_system_fails(tmp_path: Path) -> None:
    # no network disk can be mounted here: the table of mounts is the kernel's, with one line more
    mounts = tmp_path / "mounts"
    real = Path("/proc/mounts").read_text()
    mounts.write_text(f"{real}server:/share {tmp_path / 'share'} nfs4 rw 0 0\n")
    for place, level in (("share/home", Level.fail), ("sharedhome", Level.ok)):
        (found,) = places.file_system(Patient(Home(tmp_path / place), None, NOW), mounts)
        assert found.level is level, found.what


def test_what_others_can_read_or_write_is_told_with_its_mode(lake: Context, look: Look) -> None:
    assert look("permissions") == []
    lake.home.pepper_file.write_text("secret")
    lake.home.pepper_file.chmod(0o644)
    lake.home.landing.chmod(0o755)
    lake.home.root.chmod(0o777)
    marts = lake.home.published / "current" / "marts.duckdb"
    marts.chmod(0o664)
    told = [
        (one.level.value, one.what.removeprefix(f"{lake.home.root}")) for one in look("permissions")
    ]
    assert told == [
        ("FAIL", "/pepper has mode 0644: others can read it"),
        ("WARN", "/landing has mode 0755"),
        ("FAIL", " has mode 0777: others can write into it"),
        (
            "WARN",
            "/published/current/marts.duckdb can be written: one client may shut all readers out",
        ),
    ]
    for one in look("permissions"):
        subprocess.run(one.mend, shell=True, check=True)  # what it says mends it
    assert look("permissions") == []


def test_a_source_without_a_file_is_told(lake: Context, look: Look, tmp_path: Path) -> None:
    assert look("sources") == []
    (tmp_path / "shop" / "1.csv").rename(tmp_path / "shop" / "1.txt")
    assert only(look("sources")) == ("WARN", "shop: no file matches shop/*.csv")


def test_the_holder_of_the_lock_is_named_and_one_that_was_killed(lake: Context, look: Look) -> None:
    assert look("lock") == []
    hold = "import sys; from carelake.settings import Home; from pathlib import Path\n" \
        "from carelake.warehouse.connection import write_lock\n" \
        "lock = write_lock(Home(Path(sys.argv[1])), 'nightly build'); lock.__enter__()"  # fmt: skip
    with program(hold, str(lake.home.root)) as writer:
        patient = Patient(lake.home, lake, NOW)
        (found,) = [one for one in examine(patient) if one.check == "lock"]
        assert found.level is Level.ok
        assert f"`nightly build` holds it: process {writer.pid} (`" in found.what
    level, what = only(look("lock"))
    assert (level, what) == (
        "WARN",
        "nobody holds it; the last writer was killed while at `nightly build`",
    )
    with write_lock(lake.home, "the next run"):
        pass
    assert look("lock") == []
    take = "import fcntl, sys; lock = open(sys.argv[1], 'a'); fcntl.flock(lock, fcntl.LOCK_EX)"
    with program(take, str(lake.home.lock)) as stranger:
        level, what = only(look("lock"))
        assert (
            level == "FAIL"
            and f"held by process {stranger.pid} (" in what
            and "none of ours" in what
        )


def test_a_program_that_has_the_warehouse_or_a_published_file_open_is_named(
    lake: Context, look: Look
) -> None:
    assert look("strangers") == []
    opened = "import duckdb, sys; con = duckdb.connect(sys.argv[1])"
    with program(opened, str(lake.home.warehouse)) as stranger:
        level, what = only(look("strangers"))
        assert level == "FAIL" and what.startswith(f"process {stranger.pid} (")
        level, what = only(look("warehouse"))
        assert level == "FAIL" and "cannot be opened" in what
    reader = "import sys; file = open(sys.argv[1], sys.argv[2])"
    marts = (lake.home.published / "marts.duckdb").resolve()
    with program(reader, str(marts), "rb"):
        assert look("strangers") == []
    marts.chmod(0o644)
    with program(reader, str(marts), "r+b"):
        assert only(look("strangers"))[1].endswith(f"{marts} open for writing")


def test_drafts_of_a_killed_run_are_told(lake: Context, look: Look) -> None:
    assert look("leftovers") == []
    draft = lake.home.published / "versions" / "000009.part"
    draft.mkdir()
    (draft / "marts.duckdb").write_bytes(b"x" * 10**6)
    assert only(look("leftovers")) == (
        "WARN",
        "published/versions/000009.part (1.0 MB) of a run that was killed",
    )
    small_marts.write(lake, 2)
    publish(lake)
    assert look("leftovers") == []


def test_a_warehouse_or_a_publication_that_does_not_open_fails(lake: Context, look: Look) -> None:
    assert look("warehouse") == look("published") == []
    whole = lake.home.warehouse.read_bytes()
    lake.home.warehouse.write_bytes(b"\0" * 4096 + whole[4096:])
    assert only(look("warehouse"))[0] == "FAIL"
    marts = (lake.home.published / "marts.duckdb").resolve()
    marts.chmod(0o644)
    marts.write_bytes(b"no database")
    assert only(look("published"))[0] == "FAIL"


def test_a_batch_that_is_not_whole_is_told_by_its_file(lake: Context, look: Look) -> None:
    assert look("landing") == []
    (lake.home.landing / "shop" / "shop-000002").mkdir()
    level, what = only(look("landing"))
    assert level == "WARN" and what.endswith("its extract was killed, or is under way")
    (lake.home.landing / "shop" / "shop-000002").rmdir()
    batch = lake.home.landing / "shop" / "shop-000001"
    (data,) = [path for path in batch.iterdir() if path.name != "manifest.json"]
    content = data.read_bytes()
    data.unlink()
    assert only(look("landing")) == ("FAIL", f"{data} is gone")
    data.write_bytes(content[:-1])
    assert only(look("landing"))[1] == f"{data} has 6 bytes where 7 were extracted"
    data.write_bytes(content)
    manifest = batch / "manifest.json"
    manifest.write_text("{")
    assert only(look("landing")) == ("FAIL", f"{manifest}: is no manifest any more")


def test_what_keeps_new_data_from_readers_is_told(lake: Context, look: Look) -> None:
    assert look("holds") == []
    small_marts.write(lake, 2)
    publish(lake)
    rollback(lake)
    assert only(look("holds"))[1].startswith("publishing is held: rolled back from version 2")
    (lake.home.published / "HOLD").unlink()
    lake.home.ops.chmod(0o644)
    with duckdb.connect(str(lake.home.ops)) as con:
        con.execute("insert into state values ('publish_blocked', 'marts__desks: too many')")
        con.execute("update ledger set status = 'held'")
    assert [one.what for one in look("holds")] == [
        "a gate stops publishing: marts__desks: too many",
        "1 batches are held: shop-000001",
    ]


def test_silence_and_a_clock_that_was_set_back_are_told(lake: Context, look: Look) -> None:
    arrived = arrivals(lake.home)["shop"]
    assert look("freshness") == look("clock") == []
    assert only(look("freshness", arrived + dt.timedelta(hours=27)))[0] == "WARN"
    level, what = only(look("freshness", arrived + dt.timedelta(days=4)))
    assert level == "FAIL" and what.startswith("shop has brought nothing for 4 d (block: 3d)")
    level, what = only(look("clock", arrived - dt.timedelta(hours=3)))
    assert level == "FAIL" and what.startswith("the last run was 3 h") and "set back" in what
    current = lake.home.published / "current" / "publication.json"
    current.chmod(0o644)
    said = json.loads(current.read_text())
    current.write_text(json.dumps({**said, "as_of": "2124-01-01T00:00:00+00:00"}))
    assert (
        only(look("clock"))[1] == "the marts are as of 2124-01-01 00:00 UTC, which is yet to come"
    )
