"""Backups taken while another process runs, each restored and run on: the undisturbed marts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import carelake
from tests.conftest import PEPPER, SampleRun, clean_variables

MOMENTS = ("load", "build_features")
"""Steps after whose end a backup is asked for: within the next one it waits for the lock."""


PATIENCE = 1800
"""Seconds for a run on a machine that does other things besides."""


def environment(sample: SampleRun, home: Path) -> dict[str, str]:
    return {
        **clean_variables(),
        "CARELAKE_HOME": str(home),
        "CARELAKE_SOURCES": str(sample.company / "sources.yml"),
        "CARELAKE_PEPPER": PEPPER,
    }


def fingerprint(env: dict[str, str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(carelake("fingerprint", env=env).stdout)
    return found


def ended(journal: Path) -> set[str]:
    """Steps that the journal says have ended."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    said = [json.loads(line) for line in lines]
    return {line["step"] for line in said if line["event"] == "step"}


@pytest.mark.slow
def test_a_backup_during_a_run_restores_to_the_same_marts(
    sample_run: SampleRun, tmp_path: Path
) -> None:
    expected = fingerprint(sample_run.environment)
    disturbed = environment(sample_run, tmp_path / "disturbed")
    carelake("init", env=disturbed)
    run = subprocess.Popen(
        [sys.executable, "-m", "carelake.cli", "run"],
        env=disturbed,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    saved = []
    try:
        for step in MOMENTS:
            while step not in ended(tmp_path / "disturbed" / "logs" / "carelake.jsonl"):
                assert run.poll() is None, run.stderr.read() if run.stderr else ""
                time.sleep(0.05)
            target = tmp_path / f"after-{step}.tar.zst"
            carelake("backup", str(target), env=disturbed, timeout=900)
            assert run.poll() is None, "the run was over too soon"
            saved.append(target)
        assert run.wait(PATIENCE) == 0
    finally:
        run.kill()
        run.communicate()
    assert fingerprint(disturbed) == expected

    for target in saved:
        there = environment(sample_run, tmp_path / target.name.removesuffix(".tar.zst"))
        carelake("restore", str(target), env=there)
        carelake("run", env=there, timeout=PATIENCE)
        assert fingerprint(there) == expected, target.name
