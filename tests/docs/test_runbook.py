"""The runbook says of every entry how it was reproduced, by tests that are there."""

from __future__ import annotations

import re

from tests.conftest import PROJECT

TEXT = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
ENTRIES, REPRODUCED = TEXT.split("## How each was reproduced")


def test_every_entry_says_how_it_was_reproduced() -> None:
    numbers = [int(number) for number in re.findall(r"^### (\d+) ", ENTRIES, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 20
    rows = re.findall(r"^\| ([\d, ]+) \|", REPRODUCED, re.MULTILINE)
    assert sorted(int(number) for row in rows for number in row.split(",")) == numbers


def test_every_test_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", REPRODUCED)
    assert named
    for file, name in named:
        text = (PROJECT / file).read_text(encoding="utf-8")
        assert f"def {name}" in text
