from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import carelake, rows
from tests.conftest import PEPPER, SampleRun


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    return {**kept, "CARELAKE_HOME": str(tmp_path / "home"), "CARELAKE_PEPPER": PEPPER}


def test_help_imports_nothing_heavy_and_takes_no_longer_than_typer_itself() -> None:
    def seconds(code: str) -> float:
        best = 9.0
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            best = min(best, time.perf_counter() - began)
        return best

    ours = seconds(
        "import sys; sys.argv[1:] = ['--help']; from carelake.cli import app; app(standalone_mode=False)"
    )
    bare = seconds("import typer, rich.console, rich.table, rich.markdown")
    # half a second on a quiet machine; the ratio holds on a busy one
    assert ours < 0.5 or ours < 2.5 * bare
    code = "import sys, carelake.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    heavy = {
        "duckdb",
        "pandas",
        "mlflow",
        "sklearn",
        "dbt",
        "airflow",
        "great_expectations",
        "pydantic",
    }
    assert not heavy & set(loaded.stdout.split())


def test_every_command_has_help_with_an_example(env: dict[str, str]) -> None:
    commands = [
        ["init"], ["sample"], ["extract"], ["load"], ["build"], ["score"], ["train"], ["check"],
        ["publish"], ["rollback"], ["run"], ["rebuild"], ["status"], ["sql"], ["fingerprint"], ["followup", "plan"],
        ["quarantine", "list"], ["quarantine", "show"], ["quarantine", "replay"],
        ["batch", "release"], ["batch", "discard"], ["source", "kinds"], ["source", "test"],
    ]  # fmt: skip
    from typer.testing import CliRunner

    from carelake.cli import app

    for command in commands:
        shown = CliRunner().invoke(app, [*command, "--help"])
        assert shown.exit_code == 0, command
        assert f"carelake {' '.join(command)}" in shown.stdout, command
        assert "Example" in shown.stdout, command


@pytest.mark.parametrize(
    ("arguments", "sources", "parts"),
    [
        (["run"], None, ["sources.yml", "no such file", "carelake sample"]),
        (["run"], "sources: 5", ["sources.yml", "sources", "list"]),
        (["run", "nobody"], "sources: []", ["no source 'nobody'"]),
        (["load"], "sources: []", ["carelake init"]),
        (["extract"], "sources: [{name: A}]", ["sources.yml", "snake_case"]),
    ],
)
def test_a_wrong_call_or_configuration_ends_2_in_one_line_before_anything_is_touched(
    tmp_path: Path, env: dict[str, str], arguments: list[str], sources: str | None, parts: list[str]
) -> None:
    if sources is not None:
        (tmp_path / "sources.yml").write_text(sources)
    done = carelake(*arguments, env=env, exit_code=2)
    (line,) = done.stderr.strip().splitlines()
    for part in parts:
        assert part in line
    assert not (tmp_path / "home").exists()


def test_two_homes_never_touch(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "sources.yml").write_text("sources: []")
    carelake("init", env=env)
    before = sorted((tmp_path / "home").rglob("*"))
    carelake("init", env={**env, "CARELAKE_HOME": str(tmp_path / "other")})
    assert sorted((tmp_path / "home").rglob("*")) == before
    assert str(tmp_path / "home") not in (tmp_path / "other" / "sources.path").read_text()


def test_a_lost_pepper_is_named_and_never_replaced(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "sources.yml").write_text("sources: []")
    own = {k: v for k, v in env.items() if k != "CARELAKE_PEPPER"}
    carelake("init", env=own)
    pepper = tmp_path / "home" / "pepper"
    assert pepper.stat().st_mode & 0o777 == 0o600
    kept = pepper.read_text()
    pepper.unlink()
    done = carelake("init", env=own, exit_code=2)
    assert "pepper" in done.stderr
    assert not pepper.exists()
    pepper.write_text(kept)
    carelake("init", env=own)


def test_sql_prints_table_csv_and_json_of_the_published_marts(sample_run: SampleRun) -> None:
    env = sample_run.environment
    query = "select channel, count(*) as n from fct_conversations group by channel order by channel"
    as_json = rows(query, env)
    as_csv = carelake("sql", query, "--format", "csv", env=env).stdout.strip().splitlines()
    assert as_csv[0] == "channel,n"
    assert [line.split(",") for line in as_csv[1:]] == [
        [r["channel"], str(r["n"])] for r in as_json
    ]
    table = carelake("sql", query, env=env).stdout
    assert all(f"{r['n']:,}" in table for r in as_json)


def test_sql_cannot_write_and_a_wrong_query_is_one_line(sample_run: SampleRun) -> None:
    env = sample_run.environment
    done = carelake("sql", "delete from dim_customers", env=env, exit_code=2)
    assert "read-only" in done.stderr
    done = carelake("sql", "select * from nothing_here", env=env, exit_code=2)
    assert len(done.stderr.strip().splitlines()) == 1
    done = carelake("sql", "select status,\n chanel from fct_conversations", env=env, exit_code=2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert (
        '"channel"' in done.stderr and "(line 2, at: chanel from fct_conversations)" in done.stderr
    )
    done = carelake("sql", "select 1; select 2", env=env, exit_code=2)
    assert "one query at a time, these are 2" in done.stderr


def test_status_tells_what_is_published_and_how_each_source_fared(sample_run: SampleRun) -> None:
    state = json.loads(carelake("status", "--format", "json", env=sample_run.environment).stdout)
    assert state["published"]["version"] == 1
    assert state["blocked"] is None
    loaded = {s["source"]: s for s in state["sources"]}
    assert loaded["call_records"]["rejects"] > 0
    assert all(s["records"] == s["loaded"] + s["rejects"] for s in loaded.values())


def test_status_fits_a_terminal_of_a_hundred_columns(sample_run: SampleRun) -> None:
    shown = carelake("status", env=sample_run.environment).stdout
    account = shown.split("where every record went")[1].split("last run")[0].splitlines()
    assert max(map(len, account)) <= 100
    (calls,) = [line.split() for line in account if line.strip().startswith("call_records")]
    assert calls[-1] == "✓"
    numbers = [int(text.replace(",", "")) for text in calls[1:-1]]
    assert numbers[0] == numbers[1] + numbers[2]
    assert numbers[2] == sum(numbers[3:])


def test_the_quarantine_answers_while_another_process_writes(sample_run: SampleRun) -> None:
    env = sample_run.environment
    ask = ("quarantine", "show", "call_records", "--limit", "99", "--format", "json")
    free, listed = (
        json.loads(carelake(*ask, env=env).stdout),
        carelake("quarantine", "list", env=env),
    )
    with (sample_run.home / "warehouse.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": 7, "host": "elsewhere", "purpose": "build marts"}))
        lock.flush()
        try:
            began = time.monotonic()
            done = carelake(*ask, env=env)
            assert time.monotonic() - began < 20
            assert carelake("quarantine", "list", env=env).stdout == listed.stdout
        finally:
            lock.truncate(0)
    assert "`build marts` (process 7 on elsewhere)" in done.stderr
    assert "this is what was published at 20" in done.stderr
    assert json.loads(done.stdout) == [{**record, "text": ""} for record in free]
    assert any(record["text"] for record in free)


def test_quarantine_shows_file_line_reason_and_text(sample_run: SampleRun) -> None:
    env = sample_run.environment
    shown = json.loads(
        carelake("quarantine", "show", "call_records", "--format", "json", env=env).stdout
    )
    stages = {record["stage"] for record in shown}
    assert stages == {"structure", "value"}
    for record in shown:
        assert record["file"].startswith("inbox/phone/")
        assert record["reason"]
        assert record["text"]
        assert record["row"] > 0
