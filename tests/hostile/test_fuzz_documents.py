from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.bench import Bench, Case, assert_accounted, is_held
from tests.hostile.conftest import FILES, fuzz
from tests.hostile.documents import json_case, jsonl_case, mbox_case
from tests.hostile.texts import CHANGES, mutate

Changes = list[list[tuple[int, int, int]]]


def several(case: st.SearchStrategy[Case]) -> st.SearchStrategy[list[Case]]:
    return st.lists(case, min_size=FILES, max_size=FILES)


MUTATIONS = st.lists(CHANGES, min_size=FILES, max_size=FILES)


@fuzz(share=0.12)
@given(cases=several(jsonl_case()))
def test_every_sound_json_line_arrives_and_every_broken_one_costs_itself(
    bench: Bench, cases: list[Case]
) -> None:
    result, accounts = bench.bring("jsonl", [case.content for case in cases])
    assert_accounted(cases, accounts)
    assert result.held_reason is None


@fuzz(share=0.08)
@given(cases=several(jsonl_case()), changes=MUTATIONS)
def test_mutated_json_lines_are_accounted_for_line_by_line(
    bench: Bench, cases: list[Case], changes: Changes
) -> None:
    files = [mutate(case.content, how) for case, how in zip(cases, changes, strict=True)]
    _, accounts = bench.bring("jsonl", files)
    for content, account in zip(files, accounts, strict=True):
        lines = content.removeprefix(b"\xef\xbb\xbf").split(
            b"\n" if b"\n" in content or content.rstrip(b"\r").count(b"\r") == 0 else b"\r"
        )
        filled = [line for line in lines if line.strip(b" \t\r")]
        if account.physical != len(filled):
            raise AssertionError(f"{account.places} {account.reasons} {filled!r}")
        sound = [line for line in filled if _is_object(line)]
        assert account.raw >= len(sound), (content, account)


def _is_object(line: bytes) -> bool:
    try:
        return (
            isinstance(json.loads(line.decode("utf-8"), parse_constant=lambda name: 1 / 0), dict)
            and len(line) < 2900
        )
    except (ValueError, ZeroDivisionError, RecursionError):
        return False


@fuzz(share=0.07)
@given(cases=several(json_case()))
def test_every_sound_record_of_a_document_arrives(bench: Bench, cases: list[Case]) -> None:
    result, accounts = bench.bring("json", [case.content for case in cases])
    assert_accounted(cases, accounts)
    assert result.held_reason is None


@fuzz(share=0.05)
@given(cases=several(json_case()), changes=MUTATIONS)
def test_a_mutated_document_is_read_or_held_whole(
    bench: Bench, cases: list[Case], changes: Changes
) -> None:
    files = [mutate(case.content, how) for case, how in zip(cases, changes, strict=True)]
    result, accounts = bench.bring("json", files)
    for content, account in zip(files, accounts, strict=True):
        try:
            records = json.loads(content.decode("utf-8-sig"))["data"]["items"]
        except (ValueError, KeyError, TypeError):
            # what Python does not take, DuckDB may; what neither takes is held, and that is said
            assert not is_held(account) or result.held_reason
            continue
        if isinstance(records, list):
            assert account.physical == len(records), (content, account)


@fuzz(share=0.06)
@given(cases=several(mbox_case()))
def test_every_message_arrives_and_what_is_none_is_rejected(
    bench: Bench, cases: list[Case]
) -> None:
    _, accounts = bench.bring("mbox", [case.content for case in cases])
    assert_accounted(cases, accounts)


@fuzz(share=0.04)
@given(cases=several(mbox_case()), changes=MUTATIONS)
def test_mutated_mail_files_are_accounted_for_message_by_message(
    bench: Bench, cases: list[Case], changes: Changes
) -> None:
    files = [mutate(case.content, how) for case, how in zip(cases, changes, strict=True)]
    _, accounts = bench.bring("mbox", files)
    for content, account in zip(files, accounts, strict=True):
        if not re.match(rb"(\s*\n)*From ", content) or b"\r" in content.replace(b"\r\n", b"\n"):
            continue
        if not is_held(account):
            messages = re.findall(rb"(?:\A|^[ \t\r\x0b\x0c]*\n)From ", content, re.MULTILINE)
            assert account.physical == len(messages), (content, account)
