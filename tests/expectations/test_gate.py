"""Each expectation fires on its own defect and on no other; sound rows pass; mistakes are named."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from carelake.errors import ConfigError
from expectations import gate
from expectations.gate import check_layer
from expectations.suites import LAYERS, ExpectationEntry, Suite, load_suites

MOMENT = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)


def sound_row(suite: Suite) -> dict[str, Any]:
    """A row every expectation of the suite holds for, worked out from their limits."""
    row: dict[str, Any] = dict.fromkeys(suite.content.meta.index, "all")
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for entry in suite.content.expectations:
        column = entry.kwargs["column"]
        if entry.type == "expect_column_values_to_be_null":
            row[column] = None
        elif entry.type == "expect_column_values_to_be_in_set":
            row[column] = entry.kwargs["value_set"][0]
        else:
            lows[column] = max(lows.get(column, -1e9), entry.kwargs.get("min_value", -1e9))
            highs[column] = min(highs.get(column, 1e9), entry.kwargs.get("max_value", 1e9))
            row[column] = lows[column] if lows[column] > -1e9 else min(highs[column], 0)
    return row


def defect(entry: ExpectationEntry) -> Any:
    """A value that breaks an expectation."""
    if entry.type == "expect_column_values_to_be_null":
        return "something"
    if entry.type == "expect_column_values_to_be_in_set":
        return not entry.kwargs["value_set"][0] if entry.kwargs["value_set"] == [True] else "fax"
    if "max_value" in entry.kwargs:
        return entry.kwargs["max_value"] + 0.01
    return entry.kwargs["min_value"] - 0.01


def breaks(entry: ExpectationEntry, column: str, value: Any) -> bool:
    """Whether a value in a column breaks an expectation, told without the library."""
    if entry.kwargs["column"] != column:
        return False
    if entry.type == "expect_column_values_to_be_null":
        return value is not None
    if entry.type == "expect_column_values_to_be_in_set":
        return value not in entry.kwargs["value_set"]
    low = entry.kwargs.get("min_value", -1e9)
    high = entry.kwargs.get("max_value", 1e9)
    return not low <= value <= high


def frames_of(
    suites: list[Suite], frames: dict[str, pd.DataFrame]
) -> Callable[[str], pd.DataFrame]:
    """A fetch that answers each suite's query with its hand-made frame."""
    by_query = {suite.query: frames[suite.name] for suite in suites}
    return lambda query: by_query[query]


@pytest.mark.parametrize("layer", LAYERS)
def test_each_expectation_fires_on_its_own_defect_and_on_no_other(
    layer: str, tmp_path: Path
) -> None:
    suites = load_suites(layer)
    frames = {}
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for suite in suites:
        rows = [sound_row(suite)]
        for entry in suite.content.expectations:
            column, value = entry.kwargs["column"], defect(entry)
            rows.append({**sound_row(suite), column: value})
            for other in suite.content.expectations:
                if breaks(other, column, value):
                    key = (suite.name, other.type, other.kwargs["column"], other.meta.severity)
                    expected[key] += 1
        for number, row in enumerate(rows):
            if "batch_id" in row:
                row["batch_id"] = f"b{number}"
        frames[suite.name] = pd.DataFrame(rows)

    results = check_layer(
        layer, frames_of(suites, frames), tmp_path / "gx", tmp_path, build_docs=False
    )

    found: Counter[tuple[str, str, str, str]] = Counter()
    for result in results:
        if not result.success:
            key = (result.suite, result.expectation, str(result.column_name), result.severity)
            found[key] += result.unexpected_count
    assert found == expected
    assert len(expected) == sum(len(suite.content.expectations) for suite in suites)


def test_sound_rows_and_empty_frames_pass_everything(tmp_path: Path) -> None:
    suites = load_suites("raw") + load_suites("features")
    sound = {suite.name: pd.DataFrame([sound_row(suite)]) for suite in suites}
    empty = {name: frame.iloc[:0] for name, frame in sound.items()}
    for frames in (sound, empty):
        for layer in ("raw", "features"):
            results = check_layer(
                layer, frames_of(suites, frames), tmp_path / "gx", tmp_path, build_docs=False
            )
            assert [result for result in results if not result.success] == []


def test_what_a_check_that_was_cut_left_torn_does_not_stop_the_next_one(tmp_path: Path) -> None:
    suites = load_suites("raw")
    frames = {suite.name: pd.DataFrame([sound_row(suite)]) for suite in suites}
    gx = tmp_path / "gx"

    def check() -> int:
        return len(check_layer("raw", frames_of(suites, frames), gx, tmp_path / "docs"))

    n_results = check()
    stored = [path for path in gx.rglob("*") if path.suffix in (".json", ".yml")]
    assert len(stored) > 3 and not (gx / "unfinished").exists()
    for path in stored:
        path.write_text("" if path.suffix == ".yml" else '{"name": ', encoding="utf-8")
    (gx / "unfinished").touch()
    assert check() == n_results


def test_a_failing_batch_is_named_and_blocking_differs_from_warning(tmp_path: Path) -> None:
    suites = load_suites("raw")
    sound = sound_row(suites[0])
    rows = [
        {**sound, "batch_id": "good"},
        {**sound, "batch_id": "empty", "n_physical": 0},
        {**sound, "batch_id": "dirty", "reject_share": 0.2},
    ]
    frames = {suites[0].name: pd.DataFrame(rows)}

    results = check_layer(
        "raw",
        frames_of(suites, frames),
        tmp_path / "gx",
        tmp_path / "docs",
        run_id="run-1",
        checked_at=MOMENT,
    )

    failed = [result for result in results if not result.success]
    assert [(r.batch_id, r.severity, r.is_blocking_failure) for r in failed] == [
        ("empty", "blocking", True),
        ("dirty", "warning", False),
    ]
    assert failed[0].observed == "n_physical 0"
    assert failed[0].details.startswith("n_physical 0, source_name all, batch_id empty")
    assert {(r.run_id, r.checked_at, r.layer) for r in results} == {("run-1", MOMENT, "raw")}
    index = (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")
    for text in ("batch_id empty", "batch_id dirty", "a source that sent nothing", "blocking"):
        assert text in index
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert len(pages) == 3  # the index, the suite, its run
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "https://" not in text  # nothing is fetched from, or told to, anybody
        assert "<script" not in text


def write_suite(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda _: None) -> Path:
    """A small suite of the company's own, changed."""
    content: dict[str, Any] = {
        "name": "marts__ours",
        "meta": {"rows": "one row", "index": ["store"]},
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "n", "min_value": 1},
                "meta": {"severity": "warning", "why": "a store has customers"},
            }
        ],
    }
    change(content)
    (folder / "suites").mkdir(parents=True, exist_ok=True)
    (folder / "queries").mkdir(exist_ok=True)
    path = folder / "suites" / "marts__ours.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    (folder / "queries" / "marts__ours.sql").write_text("select 1", encoding="utf-8")
    return path


def entry_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["expectations"][0]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(name="marts__theirs"), r"name: is 'marts__theirs'; make it"),
        (lambda c: c.pop("meta"), r"meta: is missing; add it"),
        (lambda c: c.update(expectatons=[]), r"expectatons: unknown key"),
        (lambda c: entry_of(c)["meta"].pop("why"), r"expectations\[0\].meta.why: is missing"),
        (
            lambda c: entry_of(c)["meta"].update(severity="fatal"),
            r"expectations\[0\].meta.severity: .*'blocking' or 'warning'",
        ),
        (
            lambda c: entry_of(c).update(type="expect_column_values_to_be_betwen"),
            r"expectations\[0\].type: .*did you mean expect_column_values_to_be_between\?",
        ),
        (
            lambda c: entry_of(c)["kwargs"].update(min_valu=1),
            r"expectations\[0\].kwargs: .*min_valu.*; mend the arguments",
        ),
        (lambda c: entry_of(c)["kwargs"].update(column="m"), r"column 'm' is not in its query's"),
        (lambda c: c["meta"].update(index=["shop"]), r"column 'shop' is not in its query's"),
    ],
)
def test_a_mistake_in_a_suite_is_named_with_its_file(
    change: Callable[[dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    path = write_suite(tmp_path / "custom", change)
    with pytest.raises(ConfigError, match=message) as caught:
        check_ours(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def check_ours(tmp_path: Path) -> Any:
    """Check the marts: the company's suite on its own frame, ours on sound ones."""
    suites = load_suites("marts", tmp_path / "custom")
    frames = {suite.name: pd.DataFrame([sound_row(suite)]) for suite in suites}
    if "marts__ours" in frames:
        frames["marts__ours"] = pd.DataFrame({"store": ["north", "south"], "n": [3, 0]})
    return check_layer(
        "marts", frames_of(suites, frames), tmp_path / "gx", tmp_path, tmp_path / "custom", False
    )


def test_broken_json_a_missing_query_and_a_failing_one_are_named(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "custom")
    path.write_text('{"name": "marts__ours",\n "meta": }', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"marts__ours.json: line 2 is not valid JSON"):
        check_ours(tmp_path)
    write_suite(tmp_path / "custom")
    (tmp_path / "custom" / "queries" / "marts__ours.sql").unlink()
    with pytest.raises(ConfigError, match=r"has no query; write .*marts__ours.sql"):
        check_ours(tmp_path)
    write_suite(tmp_path / "custom")

    def fail(query: str) -> pd.DataFrame:
        raise RuntimeError("no such table")

    with pytest.raises(ConfigError, match=r"its query failed \(no such table\)"):
        check_layer("raw", fail, tmp_path / "gx", tmp_path, None, False)


def test_the_company_s_suites_run_beside_ours_and_may_replace_them(tmp_path: Path) -> None:
    write_suite(tmp_path / "custom")
    failed = [result for result in check_ours(tmp_path) if not result.success]
    assert [(r.suite, r.severity, r.details) for r in failed] == [
        ("marts__ours", "warning", "n 0, store south (expected min_value 1): a store has customers")
    ]
    assert list((tmp_path / "gx").rglob("marts__ours*"))
    shutil.rmtree(tmp_path / "custom" / "suites")
    check_ours(tmp_path)
    assert not list((tmp_path / "gx").rglob("marts__ours*"))
    (tmp_path / "custom" / "suites").mkdir()
    shipped = json.loads(load_suites("raw")[0].path.read_text(encoding="utf-8"))
    shipped["expectations"] = shipped["expectations"][:1]
    own = tmp_path / "custom" / "suites" / "raw__batches.json"
    own.write_text(json.dumps(shipped), encoding="utf-8")
    replaced = load_suites("raw", tmp_path / "custom")[0]
    assert (replaced.path, len(replaced.content.expectations)) == (own, 1)
    assert replaced.query == load_suites("raw")[0].query


def test_old_runs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "KEPT_RUNS", 1)
    suites = load_suites("staging")
    frames = {suite.name: pd.DataFrame([sound_row(suite)]) for suite in suites}
    for _ in range(2):
        check_layer(
            "staging", frames_of(suites, frames), tmp_path / "gx", tmp_path, build_docs=False
        )
    check_layer("staging", frames_of(suites, frames), tmp_path / "gx", tmp_path / "docs")
    for pages in ("gx/gx/uncommitted/validations", "docs/validations"):
        runs = list((tmp_path / pages / "staging__sources").glob("*/*"))
        assert len(runs) == 1
