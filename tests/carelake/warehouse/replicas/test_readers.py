"""Readers in processes of their own poll while versions are swapped and replications are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from carelake.settings import Context
from tests.carelake.warehouse.replicas.conftest import (
    READER_PASSWORD,
    Target,
    new_edition,
    settings_of,
)
from tests.conftest import PROJECT
from tests.small_marts import ROWS

pytestmark = pytest.mark.slow
SWAPS = 24
WAYS = ("statement", "statement", "transaction", "transaction")


@contextmanager
def readers(target: Target, folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Start polling; what they saw is in the list when the block has ended."""
    target.reader()
    stop, program = folder / "stop", Path(__file__).parent / "polling_reader.py"
    answers = [folder / f"answer-{number}.json" for number in range(len(WAYS))]
    started = [
        subprocess.Popen(
            [sys.executable, str(program), target.server.kind, str(target.server.port), READER_PASSWORD,
             way, str(stop), str(answer)]
        )
        for way, answer in zip(WAYS, answers, strict=True)
    ]  # fmt: skip
    found: list[dict[str, Any]] = []
    try:
        yield found
    finally:
        stop.touch()
        for process in started:
            assert process.wait(60) == 0
    found += [json.loads(answer.read_text()) for answer in answers]


def assert_whole(answers: list[dict[str, Any]], versions: int) -> None:
    """Every answer is one version, complete: edition n is version n, with its own number of rows."""
    for answer in answers:
        assert answer["errors"] == []
        assert answer["reads"] > 20
        assert len(answer["seen"]) > versions / 3, "saw too few versions to prove anything"
        for version, low, high, n, low_too, high_too, n_too in answer["seen"]:
            assert {low, high, low_too, high_too} == {version}
            assert n == n_too == ROWS + version


def test_every_read_sees_one_complete_version_through_two_dozen_swaps(
    target: Target, ctx: Context, tmp_path: Path
) -> None:
    target.replicate(ctx)
    with readers(target, tmp_path) as answers:
        for edition in range(2, SWAPS + 2):
            new_edition(ctx, edition)
            assert target.replicate(ctx, wait_seconds=60).version == edition
    assert_whole(answers, SWAPS)
    # nobody waited for long: a swap keeps new readers for less than half a second, MySQL for one
    assert max(answer["longest"] for answer in answers if answer["way"] == "statement") < 5
    print([(a["way"], a["reads"], a["retries"], round(a["longest"], 2)) for a in answers])


def test_killed_at_any_moment_readers_keep_the_version_before_and_the_next_run_mends(
    target: Target, ctx: Context, tmp_path: Path
) -> None:
    (tmp_path / "carelake.yml").write_text(
        yaml.safe_dump({"replicas": [settings_of(target.server)], "parquet_month_from": 50})
    )
    environment = {
        **os.environ,
        "CARELAKE_HOME": str(ctx.home.root),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "PYTHONPATH": str(PROJECT),
    }
    rows = 150_000
    new_edition(ctx, 2, rows)
    target.replicate(ctx)
    moments = []
    for edition, staged in ((3, 1), (4, 4), (5, 6)):
        new_edition(ctx, edition, rows)
        with (tmp_path / "killed.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "carelake.cli", "replicate"], env=environment, stderr=log, stdout=log,
            )  # fmt: skip
            moments.append(_kill_when(target, process, staged))
        version = target.ask("select version from marts.publication")
        assert target.ask("select distinct edition from marts.notes") == version == [(edition - 1,)]
        assert target.replicate(ctx).version == edition
        assert target.ask("select distinct edition, count(*) from marts.replies group by 1") == [
            (edition, rows + edition)
        ]
        left = (
            "select table_name from information_schema.tables where table_schema = 'marts_staging'"
        )
        assert target.ask(left) == [("carelake_staging",)]
    print(moments)


def _kill_when(target: Target, process: subprocess.Popen[bytes], staged: int) -> str:
    """Kill a replication once its `staged`-th table, or row in it, is there; says what was there."""
    con = target.connect()
    count = "select count(*) from information_schema.tables where table_schema = 'marts_staging'"
    deadline = time.monotonic() + 60
    while target.ask(count, con)[0][0] < min(staged, 5) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
    time.sleep(0.1 * max(0, staged - 4))
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    return f"{target.ask(count, con)[0][0]} tables staged"
