from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from carelake.landing import manifests
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load_batch
from tests.hostile.bench import Bench, is_held


@pytest.fixture
def table(bench: Bench) -> Iterator[Bench]:
    yield bench


def read(
    bench: Bench, content: bytes, source: str = "csv"
) -> tuple[list[tuple[str | None, str | None]], list[str]]:
    _, (account,) = bench.bring(source, [content])
    return account.rows, account.reasons


FEW = "has 1 fields where 2 are expected"
LONG_TEXT = "\n".join(f"line {i}" for i in range(700))

SHAPES = {
    "empty": (b"", [], []),
    "blank lines only": (b"\n\n \n", [], []),
    "header only": (b"id,text", [], []),
    "a quoted header only, ended by a carriage return": (b'id;text;"a;b"\r', [], []),
    "byte order mark only": (b"\xef\xbb\xbf", [], []),
    "blank lines before the header": (b"\n\r\n  \nid,text\n1,a\n", [("1", "a")], []),
    "lone carriage returns": (b"id,text\r1,a\r2,b\r", [("1", "a"), ("2", "b")], []),
    "lone carriage returns and a fault": (b'id,text\r1,"a"\r2\r3,b', [("1", "a"), ("3", "b")], [FEW]),
    "mixed ends": (b"id,text\r\n1,a\n2,b\r\n3,c", [("1", "a"), ("2", "b"), ("3", "c")], []),
    "mixed ends in quotes and a fault": (b'id,text\n1,"a\r\nb\nc\rd"\n2\n', [("1", "a\r\nb\nc\rd")], [FEW]),
    "a carriage return in a plain field": (b"id,text\n1,a\rb\n2,c\n", [("1", "a\rb"), ("2", "c")], []),
    "differing case": (b"ID,Text\n1,a\n", [("1", "a")], []),
    "the same name twice": (b"id,text,text\n1,a,b\n", [("1", "a")], []),
    "a delimiter too many everywhere": (b"id,text\n1,a,\n2,b,\n", [("1", "a"), ("2", "b")], []),
    "the same and a fault": (b"id,text\n1,a,\n2\n", [("1", "a")], [FEW]),
    "blanks around quotes and a fault": (b'id,text\n1, "a,b" \n2\n', [("1", "a,b")], [FEW]),
    "a quote within a plain field and a fault": (b'id,text\n1,5" wide\n2\n', [("1", '5" wide')], [FEW]),
    "a text of 700 lines and a fault": (f'id,text\n1,"{LONG_TEXT[:2000]}"\n2\n'.encode(), [("1", LONG_TEXT[:2000])], [FEW]),
    "an open quote at the end": (b'id,text\n1,a\n2,"b', [("1", "a")], ["has a quote that is never closed"]),
    "an open quote in the middle": (
        b'id,text\n1,"a\n' + b"".join(b"%d,b\n" % i for i in range(2, 900)),
        [(str(i), "b") for i in range(2, 900)],
        ["has a quote that is never closed"],
    ),
    "a broken byte within a quoted text of two lines": (
        b'id,text\n1,"a\n\xff"\n2,b\n', [("2", "b")], ["is not valid text in the file's encoding"],
    ),
    "raw surrogate bytes": (b"id,text\n1,\xed\xa0\x80\n2,b\n", [("2", "b")], ["is not valid text in the file's encoding"]),
    "many lines that look like records": (
        b'id,text\n1,"' + b"x,y\n" * 300 + b'"\n2\n', [("1", "x,y\n" * 300)], [FEW],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_csv_file_of_any_shape_gives_what_it_holds(table: Bench, shape: str) -> None:
    content, rows, reasons = SHAPES[shape]
    assert read(table, content) == (rows, reasons)


@pytest.mark.parametrize(
    "head",
    [
        b'"id,text\n1,a\n',
        b"id,te\xffxt\n1,a\n",
        b"id,te\0xt\n1,a\n",
        b'"id"x,text\n1,a\n',
        b"\x89PNG\r\n\x1a\n\0\0",
    ],
)
def test_a_file_whose_header_cannot_be_read_is_held(table: Bench, head: bytes) -> None:
    result, (account,) = table.bring("csv", [head])
    assert is_held(account) and result.held_reason and "first line" in result.held_reason


def test_without_a_header_a_broken_first_line_costs_itself(table: Bench) -> None:
    result, accounts = table.bring("bare", [b"x,1,2\n", b"broken\nr1,a,b\nr2,c,d\n"])
    assert accounts[1].rows == [("r1", "a"), ("r2", "c")] and accounts[1].rejected == 1
    assert result.held_reason is None


def test_a_field_longer_than_the_csv_module_takes_arrives_beside_a_fault(
    tmp_path: Path, table: Bench
) -> None:
    from carelake.warehouse.csv_repair import Dialect, repair

    path, clean = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text('id,text\n1,"' + "x" * 200_000 + '"\n2\n')
    rejects = repair(path, clean, 2, Dialect(), header=True, max_line_bytes=1_000_000)
    assert [reject.reason for reject in rejects] == [FEW]
    assert "x" * 200_000 in clean.read_text()


def test_five_thousand_columns_are_read_fast_and_carefully(tmp_path: Path, table: Bench) -> None:

    names = ["id", "text", *(f"n{i}" for i in range(4998))]
    values = ["1", "a", *("" for _ in range(4998))]
    # lines of this source may have 3,000 bytes, so the wide ones go through a source of their own
    (source,) = table.ctx.sources.select(["csv"])
    wide = source.model_copy(update={"max_line_bytes": 1_000_000})
    for careful in (False, True):
        folder = table.root / "in/csv"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(table.ctx.home.landing / "csv", ignore_errors=True)
        folder.mkdir(parents=True)
        lines = [
            ",".join(names),
            ",".join(values),
            *(["broken"] if careful else []),
            ",".join(values),
        ]
        (folder / "1").write_text("\n".join(lines))
        extract_source(wide, table.root, table.ctx.home.landing)
        result = load_batch(table.con, table.ctx, wide, manifests(table.ctx.home.landing, "csv")[0])
        assert (result.n_raw, result.n_rejects, result.held_reason) == (2, int(careful), None)


JSON_LINES = {
    "a byte order mark and a broken byte": (b'\xef\xbb\xbf{"id":"1","text":"a"}\n\xff\n', [("1", "a")], 1),
    "half a surrogate pair": (rb'{"id":"1","text":"a\ud83d"}' + b"\n", [("1", "a\ufffd")], 0),
    "two high halves and a low one": (rb'{"id":"1","text":"\ud83d\ud83d\ude00\\ud800"}', [("1", "\ufffd😀\\ud800")], 0),
    "a NUL": (rb'{"id":"1","text":"a\u0000b"}', [("1", "a\0b")], 0),
    "a NUL in a key": (rb'{"id":"1","text":"a","x\u0000y":2}', [("1", "a")], 0),
    "keys twice": (b'{"id":"1","id":"2","text":"a","text":"b"}', [("1", "a")], 0),
    "keys that differ in case": (b'{"ID":"9","id":"1","text":"a","Text":"b"}', [("1", "a")], 0),
    "keys that differ in case over lines": (b'{"ID":"9","text":"a"}\n{"id":"1","text":"b"}', [(None, "a"), ("1", "b")], 0),
    "huge numbers": (b'{"id":1e400,"text":' + b"9" * 400 + b"}", [("1e400", "9" * 400)], 0),
    "no numbers": (b'{"id":"1","text":NaN}\n{"id":"2","text":-Infinity}', [("1", "NaN"), ("2", "-Infinity")], 0),
    "an empty key": (b'{"":5,"id":"1","text":"a"}', [("1", "a")], 0),
    "a carriage return between members": (b'{"id":"1",\r"text":"a"}\n{"id":"2","text":"b"}', [("1", "a"), ("2", "b")], 0),
    "a unit separator": (b'{"id":"1","text":"\x1f"}\n{"id":"2","text":"b"}', [("2", "b")], 1),
    "objects without members only": (b"{}\n{ }\n", [(None, None)] * 2, 0),
    "a line of tabs": (b'\t\n{"id":"1","text":"a"}\n\t', [("1", "a")], 0),
    "UTF-16": ('{"id":"1"}\n'.encode("utf-16"), [], 2),
}  # fmt: skip


@pytest.mark.parametrize("shape", JSON_LINES)
def test_a_line_of_json_gives_what_it_holds(table: Bench, shape: str) -> None:
    content, rows, n_broken = JSON_LINES[shape]
    found, reasons = read(table, content, "jsonl")
    assert (found, len(reasons)) == (rows, n_broken), reasons


@pytest.mark.slow
def test_a_file_of_json_lines_of_any_three_parts_is_accounted_for_line_by_line(
    table: Bench,
) -> None:
    mark, parts = b"\xef\xbb\xbf", [b"\t", b"\r", b"\n", b" ", b"{}", b"\xef\xbb\xbf"]
    files = [b"".join(some) for n in (1, 2, 3) for some in product(parts, repeat=n)]
    for content, account in zip(files, table.bring("jsonl", files)[1], strict=True):
        text = content.removeprefix(mark)
        is_old = b"\n" not in text and b"\r" in text.rstrip(b"\r")
        lines = [line for line in text.split(b"\r" if is_old else b"\n") if line.strip(b" \t\r")]
        sound = [line for line in lines if line.strip(b" \t\r") == b"{}"]
        assert (account.physical, account.raw) == (len(lines), len(sound)), content


DOCUMENTS = {
    "several documents, one of them without records": (
        b'{"data":{"items":[{"id":"1","text":"a"}]}}\n{"page":2}\n{"data":{"items":{"id":"3","text":"c"}}}', [("1", "a"), ("3", "c")], 1,
    ),
    "half a surrogate pair": (rb'{"data":{"items":[{"id":"1","text":"\udc00"},{"id":"2","text":"b"}]}}', [("1", "\ufffd"), ("2", "b")], 0),
    "a broken byte": (b'{"data":{"items":[{"id":"1","text":"\xff"},{"id":"2","text":"b"}]}}', [("2", "b")], 1),
    "no records": (b'{"data":{"items":[]}}', [], 0),
    "a word": (b'"x"', [], 1),
}  # fmt: skip


@pytest.mark.parametrize("shape", DOCUMENTS)
def test_a_json_document_gives_what_it_holds(table: Bench, shape: str) -> None:
    content, rows, n_broken = DOCUMENTS[shape]
    found, reasons = read(table, content, "json")
    assert (found, len(reasons)) == (rows, n_broken), reasons


@pytest.mark.parametrize("source", ["jsonl", "json"])
def test_json_nested_a_hundred_thousand_deep_is_one_record(table: Bench, source: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    record = b'{"id":"1","text":' + deep + b"}"
    if source == "json":
        found, reasons = read(table, b'{"data":{"items":[' + record + b"]}}", source)
        assert found == [("1", deep.decode())] and not reasons
    else:
        # longer than a line of this source may be: it costs itself
        found, reasons = read(table, record + b'\n{"id":"2","text":"b"}', source)
        assert found == [("2", "b")] and len(reasons) == 1


def test_every_file_of_a_batch_may_be_broken_without_reading_the_batch_anew_for_each(
    table: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carelake.warehouse.readers import Reader

    reads: list[Path] = []
    read_one = Reader.read

    def counting(self: Reader, path: Path, *, careful: bool = False) -> object:
        reads.append(path)
        return read_one(self, path, careful=careful)

    monkeypatch.setattr(Reader, "read", counting)
    files = [json.dumps({"id": str(i), "text": "x"}).encode() + b"\n\xff\n" for i in range(40)]
    _, accounts = table.bring("jsonl", files)
    assert [account.raw for account in accounts] == [1] * 40
    assert len(reads) <= 4 * 40
