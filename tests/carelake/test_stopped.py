"""Who ends a command with Ctrl-C is told that it goes on, and nobody else is told anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from carelake.progress import Progress
from carelake.settings import Context
from carelake.warehouse.build import build

# as the terminal's interrupt would, wherever the command is just then
STOPPED = """
import sys
from carelake import cli, pipeline
def stopped(*_, **options): raise KeyboardInterrupt
pipeline.STEPS["extract"] = stopped
sys.argv[1:] = ["extract"]
cli.main()
"""


def test_a_command_that_is_stopped_says_so(make_context: Callable[..., Context]) -> None:
    ctx = make_context("sources: []")
    env = {
        **os.environ,
        "CARELAKE_HOME": str(ctx.home.root),
        "CARELAKE_SOURCES": str(ctx.config_dir / "sources.yml"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED], env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 130, ended.stderr
    assert "carelake: stopped; run it again, it goes on where it was" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_build_that_is_stopped_is_not_taken_for_a_fault_of_a_model(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbt.cli.main import dbtRunner, dbtRunnerResult

    def stopped(*_: object) -> dbtRunnerResult:
        return dbtRunnerResult(success=False, exception=KeyboardInterrupt())

    monkeypatch.setattr(dbtRunner, "invoke", stopped)
    with pytest.raises(KeyboardInterrupt):
        build(make_context("sources: []"), "features", Progress(quiet=True))
