from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.bench import Bench, Case, assert_accounted
from tests.hostile.conftest import FILES, fuzz
from tests.hostile.tables import Shape, csv_case, shapes
from tests.hostile.texts import CHANGES, arriving, mutate

SOURCES = {
    "csv": ("utf-8", True),
    "gb": ("gb18030", True),
    "utf16": ("utf-16", True),
    "bare": ("utf-8", False),
}


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, list[Case]]:
    name = draw(st.sampled_from(["csv", "csv", "csv", "gb", "utf16", "bare"]))
    shape = draw(shapes(*SOURCES[name]))
    return name, draw(st.lists(csv_case(shape), min_size=FILES, max_size=FILES))


@fuzz(share=0.25)
@given(batch=batches())
def test_every_sound_record_arrives_and_every_broken_one_costs_itself(
    bench: Bench, batch: tuple[str, list[Case]]
) -> None:
    name, cases = batch
    result, accounts = bench.bring(name, [case.content for case in cases])
    if name == "bare":
        # how many columns there are is known only where most records are sound
        cases = [case if len(case.good or []) > case.n_broken else Case(b"") for case in cases]
    assert_accounted(cases, accounts)
    assert result.held_reason is None


@fuzz(share=0.15)
@given(
    cases=st.lists(csv_case(Shape()), min_size=FILES, max_size=FILES),
    changes=st.lists(CHANGES, min_size=FILES, max_size=FILES),
)
def test_mutated_files_are_accounted_for(
    bench: Bench, cases: list[Case], changes: list[list[tuple[int, int, int]]]
) -> None:
    files = [mutate(case.content, how) for case, how in zip(cases, changes, strict=True)]
    _, accounts = bench.bring("csv", files)
    for content, account in zip(files, accounts, strict=True):
        rows = reference(content)
        if rows is not None:
            assert account.raw == len(rows), (content, account.reasons)
            if {"id", "text"} <= set(rows[0] if rows else {}):
                expected = [(arriving(row["id"]), arriving(row["text"])) for row in rows]
                assert account.rows == expected, content


def reference(content: bytes) -> list[dict[str, str]] | None:
    """What Python's csv module finds in a well-formed file, None for any other."""
    try:
        text = content.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error):
        return None
    lone = text.replace("\r\n", "\n")
    odd = (
        "\0" in text
        or "\r" in lone
        or ' "' in text
        or any(len(line) > 2900 for line in text.split("\n"))
    )
    if odd or not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None
    names = [name.strip() for name in rows[0]]
    if (
        len({n.lower() for n in names}) < len(names)
        or not all(names)
        or ";" in text
        or "|" in text
        or "\t" in text
    ):
        return None
    if any(
        not any(cell.strip() for cell in row) and len("".join(row)) == 0 and len(row) == 1
        for row in rows
    ):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]
