"""Every trouble the doctor knows is really made, and found; a sound home has none."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from carelake.doctor import Finding, Level, Patient, examine, places, remotes, versions
from carelake.errors import ConfigError
from carelake.services import processes
from carelake.services.files import write_private
from carelake.settings import Context, Home
from carelake.warehouse.connection import write_lock
from carelake.warehouse.freshness import arrivals
from carelake.warehouse.publish import publish, rollback
from tests import small_marts
from tests.chaos.lane import SmallDisk, can_mount
from tests.commands import carelake

Look = Callable[..., list[Finding]]
NOW = dt.datetime.now(dt.UTC)


def only(found: list[Finding]) -> tuple[str, str]:
    """(level, what) of the one trouble there is."""
    (one,) = found
    return one.level.value, one.what


@contextmanager
def program(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program of somebody else, once it has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\nimport time; time.sleep(60)", *arguments],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


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


def test_servers_half_up_or_dead_and_a_port_that_was_taken_are_told(
    lake: Context, look: Look
) -> None:
    assert look("services") == look("ports") == []
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    try:
        processes.start(lake.home, processes.Service("scheduler", sleep))
        level, what = only(look("services"))
        assert level == "FAIL" and what.startswith(
            "Airflow is half up: dag-processor, api-server not running"
        )
        processes.start(lake.home, processes.Service("mlflow", [sys.executable, "-c", ""]))
    finally:
        processes.stop(lake.home, ["scheduler"], patience=1)
    for child in processes._children:
        child.wait(10)
    assert only(look("services"))[1].startswith("mlflow ended by itself; see ")
    listen = "import socket, sys; s = socket.create_server(('127.0.0.1', 0))\n" \
        "open(sys.argv[1], 'w').write('{\"mlflow\": %d}' % s.getsockname()[1])"  # fmt: skip
    with program(listen, str(lake.home.state / "ports.json")) as thief:
        level, what = only(look("ports"))
        assert level == "WARN" and what.endswith(
            f"mlflow's until now, is taken by process {thief.pid} ({Path(sys.executable).name})"
        )


def test_databases_that_are_damaged_or_gone_are_told(lake: Context, look: Look) -> None:
    assert look("databases") == []
    lake.home.decisions.mkdir(parents=True, exist_ok=True)
    decision = {"decision": "promoted", "model_name": "before_survey"}
    (lake.home.decisions / "1.json").write_text(json.dumps(decision))
    mlflow = lake.home.mlflow_dir / "mlflow.db"
    assert only(look("databases")) == (
        "FAIL",
        f"{mlflow} is gone, and with it the champion of before_survey",
    )
    with sqlite3.connect(mlflow) as con:
        con.execute("create table registered_model_aliases (name text, alias text)")
        con.execute("insert into registered_model_aliases values ('before_survey', 'challenger')")
        con.execute(
            "create table runs as with recursive n(i) as (select 1 union all select i + 1 from n limit 9999) select i, 'text' from n"
        )
        con.commit()
        assert only(look("databases"))[1] == f"{mlflow} has lost the champion of before_survey"
        con.execute("update registered_model_aliases set alias = 'champion'")
    con.close()
    assert look("databases") == []
    content = bytearray(mlflow.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    mlflow.write_bytes(content)
    level, what = only(look("databases"))
    assert level == "FAIL" and what.startswith(f"MLflow's {mlflow}: ")


def test_runs_of_an_airflow_that_stopped_or_that_never_end_are_told(
    lake: Context, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = lake.home.airflow / "airflow.db"
    with sqlite3.connect(database) as con:
        con.execute("create table dag_run (dag_id text, run_id text, state text, start_date text)")
        con.execute(
            "insert into dag_run values ('build_marts', 'one', 'running', '2026-01-01 10:00:00.000000')"
        )
        con.execute(
            "insert into dag_run values ('build_marts', 'two', 'success', '2026-01-02 10:00:00.000000')"
        )
    con.close()
    assert only(look("airflow runs")) == (
        "WARN",
        "1 under way when Airflow stopped: build_marts one",
    )
    monkeypatch.setattr("carelake.services.airflow.is_running", lambda home: True)
    assert look("airflow runs", dt.datetime(2026, 1, 1, 20, tzinfo=dt.UTC)) == []
    level, what = only(look("airflow runs", dt.datetime(2026, 1, 3, tzinfo=dt.UTC)))
    assert (level, what) == ("WARN", "build_marts one has been running since 2026-01-01 10:00 UTC")


def test_replicas_and_alerts_that_cannot_be_reached_are_told(
    lake: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_password() -> str:
        raise ConfigError("replica 'bi': environment variable BI_PASSWORD is not set")

    with socket.create_server(("127.0.0.1", 0)) as server:
        here = {
            "host": "127.0.0.1",
            "port": server.getsockname()[1],
            "kind": "postgresql",
            "address": "here",
        }
        gone = {**here, "port": 1, "label": "gone", "password": str}
        there = SimpleNamespace(
            replicas=[
                SimpleNamespace(**gone),
                SimpleNamespace(**here, label="bi", password=no_password),
                SimpleNamespace(**here, label="sound", password=str),
            ],
            alerts=SimpleNamespace(
                mail=SimpleNamespace(host="127.0.0.1", port=1),
                webhooks=[
                    SimpleNamespace(url=f"http://127.0.0.1:{here['port']}/secret", url_env=None),
                    SimpleNamespace(url=None, url_env="CHAT_HOOK"),
                ],
            ),
        )
        patient = Patient(lake.home, replace(lake, settings=there), NOW)
        found = [*remotes.replicas(patient), *remotes.alerts(patient)]
    assert [(one.level.value, one.what) for one in found] == [
        ("WARN", "gone (here) cannot be reached: Connection refused"),
        ("WARN", "replica 'bi': environment variable BI_PASSWORD is not set"),
        ("OK", "sound (here) answers"),
        ("WARN", "mail (127.0.0.1:1) cannot be reached: Connection refused"),
        ("OK", f"webhook 1 (127.0.0.1:{here['port']}) answers"),
        ("WARN", "webhook 2: CHAT_HOOK is not set"),
    ]


def test_an_override_that_an_upgrade_outgrew_is_told(
    lake: Context, look: Look, tmp_path: Path
) -> None:
    from carelake.warehouse import company

    assert look("custom") == []
    ours = company.OURS / "macros" / "clean.sql"
    mine = tmp_path / "custom" / "overrides" / "macros" / "clean.sql"
    mine.parent.mkdir(parents=True)
    shutil.copyfile(ours, mine)
    company.prepare(lake)
    assert look("custom") == []
    notes = lake.home.dbt / company.NOTES
    # as it was noted when the original was another
    notes.write_text(notes.read_text().replace('"ours": "', '"ours": "0'))
    assert (
        only(look("custom"))[1]
        == f"{mine} takes the place of a file of ours that has changed since"
    )
    mine.write_text(mine.read_text() + "\n")
    company.prepare(lake)
    assert look("custom") == []
