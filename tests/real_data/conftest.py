"""Homes in which real data sets are run, with a mapping and nothing else."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import carelake, rows
from tests.conftest import PEPPER


class RealRun:
    """One `carelake run` over one source list in a home of its own."""

    def __init__(
        self, root: Path, sources: str, settings: str = "", files: Iterable[Path] = ()
    ) -> None:
        """Write the source list, copy files beside it, and run it."""
        self.home = root / "home"
        for file in files:
            shutil.copy(file, root)
        (root / "sources.yml").write_text(textwrap.dedent(sources), encoding="utf-8")
        (root / "carelake.yml").write_text(textwrap.dedent(settings), encoding="utf-8")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
        self.environment = {
            **kept,
            "CARELAKE_HOME": str(self.home),
            "CARELAKE_SOURCES": str(root / "sources.yml"),
            "CARELAKE_PEPPER": PEPPER,
        }
        done = carelake("run", env=self.environment)
        self.output, self.progress = done.stdout, done.stderr

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the published marts."""
        return [tuple(row.values()) for row in rows(query, self.environment)]

    def account(self) -> dict[str, dict[str, int]]:
        """Per source, the sums of its batches; every batch has to balance."""
        found = rows("select * from source_runs", self.environment)
        assert all(run["is_balanced"] for run in found)
        counts = [name for name in found[0] if name.startswith("n_")]
        return {
            source: {
                name.removeprefix("n_"): sum(
                    int(run[name] or 0) for run in found if run["source_name"] == source
                )
                for name in counts
            }
            for source in {run["source_name"] for run in found}
        }


@pytest.fixture(scope="module")
def run_real(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RealRun]:
    """Run a source list in a new home."""

    def run(sources: str, settings: str = "", files: Iterable[Path] = ()) -> RealRun:
        return RealRun(tmp_path_factory.mktemp("real"), sources, settings, files)

    return run
