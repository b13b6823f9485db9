"""Ten disturbances of a campaign, fixed and of every kind; `make chaos` makes 200."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import TEN

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of each, by its words; made once, in a process that forks before it has threads."""
    told = tmp_path_factory.mktemp("chaos") / "outcomes.json"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    command = [sys.executable, "-m", "tests.chaos", "--ten", "--json", str(told)]
    done = subprocess.run(
        command, cwd=PROJECT, env=kept, capture_output=True, text=True, timeout=900, check=False
    )
    assert told.exists(), done.stdout + done.stderr
    found: dict[str, dict[str, Any]] = json.loads(told.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("disturbance", TEN, ids=str)
def test_after_one_more_run_all_is_as_if_nothing_had_happened(
    outcomes: dict[str, dict[str, Any]], disturbance: object
) -> None:
    outcome = outcomes[str(disturbance)]
    assert outcome["faults"] == []
    assert outcome["hit"], "it did not meet the run: nothing was proved"
