"""One sample of the default size for all tests of its files, truth and people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from carelake.sample import SampleSummary, write_sample


@dataclass(frozen=True)
class Written:
    """A sample on disk and what was said about it."""

    folder: Path
    summary: SampleSummary

    def truth(self, name: str) -> list[dict[str, Any]]:
        """Read one file of the truth."""
        path = self.folder / "truth" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """What each delivered record is worth."""
        return self.truth("rows")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The sample of the default size."""
    folder = tmp_path_factory.mktemp("sample")
    return Written(folder, write_sample(folder))
