from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from carelake.progress import Progress
from carelake.reports.tables import print_query, print_rows
from carelake.settings import Context
from carelake.shown import ACTIVE, one_line, safe_cell, safe_json, visible
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "=cmd|' /C calc'!A0", "+49 170 1", "＝1+1", "-", "@handle", "=", "--5"]  # fmt: skip
HARMLESS = [
    "",
    "a",
    "-5",
    "+49.5",
    "-1,234.50",
    "1e5",
    "-1E-5",
    "-5%",
    "a=b",
    "退款",
    "0123",
    "user@example.com",
    ".",
]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\u202e\u2066\u2028\x00"


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_compute_becomes_a_text(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("value", [*HARMLESS, -5, 2.5, None, Decimal("-5.50"), True])
def test_numbers_and_plain_texts_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value and type(safe_cell(value)) is type(value)


@given(st.text())
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(text: str) -> None:
    cell = safe_cell(text)
    if cell.lstrip()[:1] in tuple("=+-@"):
        float(cell.strip().rstrip("%").replace(",", ""))


def test_a_very_long_number_that_is_none_is_judged_at_once() -> None:
    assert safe_cell("-" + "1" * 5_000_000 + "x").startswith("'-")


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_holds_nothing_a_terminal_acts_on(text: str) -> None:
    for shown in (visible(text), one_line(text), safe_json(text)):
        assert not ACTIVE.search(shown)
        shown.encode()
    assert "\n" not in one_line(text)
    assert json.loads(safe_json(text)) == text


def test_csv_from_a_query_has_no_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect() as con:
        con.execute("create table t (a varchar, b integer, c decimal(9, 2), d varchar[], e date)")
        for text in [*FORMULAS, *HARMLESS, None]:
            con.execute("insert into t values (?, -5, -5.50, ['=1'], '2024-01-01')", [text])
        print_query(con, 'select *, 1 as "=x" from t', "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows[0][-1] == "'=x"
    expected = ["'" + text for text in FORMULAS] + [*HARMLESS, ""]
    assert [row[0] for row in rows[1:]] == expected
    assert {tuple(row[1:3]) for row in rows[1:]} == {("-5", "-5.50")}


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_query_shows_control_characters_and_markup_as_text(
    output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if output == "csv":
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with duckdb.connect() as con:
        con.execute(
            "create table t as select ? as body, '[/] [red]x[/red] [link=http://x]y[/link]' as more",
            [EVIL.replace("\0", "")],
        )
        print_query(con, "select * from t", output)
    said = capsys.readouterr().out
    assert not ACTIVE.search(said.replace("\r\n", "\n"))
    assert "[red]x[/red]" in said and "[link=http://x]" in said
    if output != "json":
        assert "\\x1b]0;owned\\x07" in said.replace("\n", "")


def test_names_of_columns_are_shown_as_text_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["[/]" + EVIL], [["x"]])
    assert not ACTIVE.search(capsys.readouterr().out)


def test_progress_lines_cannot_drive_a_terminal() -> None:
    stream = io.StringIO()
    Progress(stream).say(f"{EVIL}\nnext")
    assert not ACTIVE.search(stream.getvalue()) and stream.getvalue().count("\n") == 2


@pytest.mark.parametrize("output", ["table", "json"])
def test_quarantine_shows_a_hostile_record_as_text(
    tmp_path: Path,
    make_context: Callable[..., Context],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    from carelake.cli import app

    ctx = make_context(
        """
        sources:
          - {name: calls, kind: files, path: "in/*", format: csv, entity: communications,
             columns: {communication_id: id, body: text}}
        """
    )
    (tmp_path / "in").mkdir()
    name = "x\x1b[31m\n\u202e.csv"
    (tmp_path / "in" / name).write_text(
        f"id,text\n{EVIL}[/red]\n1,a\n", encoding="utf-8", newline=""
    )
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    load(ctx)
    monkeypatch.setenv("CARELAKE_SOURCES", str(tmp_path / "sources.yml"))
    for command in (["quarantine", "show", "--format", output], ["quarantine", "list"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert not ACTIVE.search(result.output), result.output
    shown = CliRunner().invoke(app, ["quarantine", "show", "--format", output]).output
    assert "owned" in shown and "[/red]" in shown
    if output == "json":
        assert json.loads(shown)[0]["file"] == f"in/{name}"
