from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kills import Company, Kill

MOMENTS = [
    Kill("extract", 0.9), Kill("load", 0.2), Kill("build_features", 4.0), Kill("score", 6.0),
    Kill("publish", 0.1),
]  # fmt: skip


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(tmp_path_factory.mktemp("chaos"))


@pytest.mark.slow
@pytest.mark.parametrize("kill", MOMENTS, ids=lambda kill: f"{kill.step}+{kill.delay}")
def test_after_a_kill_one_more_run_gives_the_undisturbed_marts(
    company: Company, kill: Kill
) -> None:
    outcome = company.survive(kill)
    assert outcome.same, outcome.note


@pytest.mark.slow
def test_two_runs_at_once_give_the_marts_of_one(company: Company, tmp_path: Path) -> None:
    import subprocess
    import sys

    home = tmp_path / "both"
    env = {**company.environment, "CARELAKE_HOME": str(home)}
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "carelake.cli", "run"],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert company.fingerprint(home) == company.expected
