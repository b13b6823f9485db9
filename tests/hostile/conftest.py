"""How much is fuzzed: a taste in `make test`, 20,000 files with `make fuzz`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.hostile.bench import COUNTED, Bench

CASES = int(os.environ.get("HOSTILE_CASES", "300"))
"""Generated files in all; each counts once, however many records it has."""
FILES = 10 if CASES <= 1000 else 25
"""Files of one batch, and so of one example."""


def fuzz(share: float, per_example: int | None = None) -> Callable[[Any], Any]:
    """Give a test its share of all cases."""
    each = per_example or FILES
    examples = max(1, -(-round(CASES * share) // each))
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=CASES <= 1000,
        database=None,
        suppress_health_check=list(HealthCheck),
        # a failure names its file, which is small; shrinking all the others takes minutes
        phases=[Phase.explicit, Phase.generate],
    )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if COUNTED:
        each = ", ".join(f"{name} {count:,}" for name, count in sorted(COUNTED.items()))
        terminalreporter.write_line(f"generated files gone through: {COUNTED.total():,} ({each})")


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    os.environ["CARELAKE_PEPPER"] = "test-pepper"
    bench = Bench(tmp_path_factory.mktemp("hostile"))
    # power cuts are another test's subject, and syncing each small file is most of the time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    return shared_bench
