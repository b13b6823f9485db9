from __future__ import annotations

import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.bench import Bench, Case, assert_accounted, is_held
from tests.hostile.conftest import FILES, fuzz
from tests.hostile.texts import CHANGES, mutate
from tests.hostile.workbooks import part_names, with_part, xlsx_case

Change = tuple[str | None, list[tuple[int, int, int]]]


@fuzz(share=0.06)
@given(cases=st.lists(xlsx_case(), min_size=FILES, max_size=FILES))
def test_every_row_and_digit_of_a_sheet_arrives(bench: Bench, cases: list[Case]) -> None:
    result, accounts = bench.bring("xlsx", [case.content for case in cases], ".xlsx")
    assert_accounted(cases, accounts)
    assert result.held_reason is None


@fuzz(share=0.06)
@given(
    cases=st.lists(xlsx_case(), min_size=FILES, max_size=FILES),
    changes=st.lists(
        st.tuples(st.one_of(st.none(), st.sampled_from(part_names())), CHANGES),
        min_size=FILES,
        max_size=FILES,
    ),
)
def test_mutated_workbooks_are_read_or_held(
    bench: Bench, cases: list[Case], changes: list[Change]
) -> None:
    files = []
    for case, (part, how) in zip(cases, changes, strict=True):
        if part is None:
            files.append(mutate(case.content, how))
        else:
            with zipfile.ZipFile(io.BytesIO(case.content)) as archive:
                files.append(with_part(case.content, part, mutate(archive.read(part), how)))
    result, accounts = bench.bring("xlsx", files, ".xlsx")
    for (part, _), case, account in zip(changes, cases, accounts, strict=True):
        assert result.held_reason or not is_held(account)
        if part in ("xl/styles.xml", "xl/sharedStrings.xml") and not is_held(account):
            # what a cell looks like, or a text it refers to, cannot make a row vanish
            assert account.physical == len(case.good or []) + case.n_broken, account
