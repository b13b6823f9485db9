from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from carelake.errors import ConfigError
from carelake.settings import Context, Settings
from carelake.source_list import SourceList
from carelake.sources.extract import extract_source
from carelake.warehouse.emails import parse_message
from carelake.warehouse.excel import read_excel
from carelake.warehouse.incoming import UnreadableFile
from carelake.warehouse.load import load
from carelake.warehouse.mail_files import MAX_MESSAGE_BYTES, read_mbox
from tests.hostile.bench import bounded
from tests.hostile.workbooks import LINKS, MAIN, text_cell, with_part, workbook

SOURCE = """
    sources:
      - {{name: calls, kind: files, path: "in/*", format: {format}, entity: communications,
         columns: {{communication_id: id, body: text}}, max_expanded_bytes: 1000000}}
"""
ROWS = b"id,text\n" + b"1,x\n" * 600_000
SHEET = workbook([[text_cell("id"), text_cell("text")], [text_cell("1"), text_cell("x")]])


def packed(kind: str) -> bytes:
    """A few kilobytes that unpack to more than a million bytes."""
    if kind == ".gz":
        return gzip.compress(ROWS)
    if kind == ".zst":
        return zstandard.compress(ROWS)
    out = io.BytesIO(SHEET)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/picture.bin", b"\0" * 3_000_000)
    return out.getvalue()


@pytest.mark.parametrize("kind", [".csv.gz", ".csv.zst", ".xlsx"])
def test_a_bomb_is_held_with_a_clear_message_and_the_other_file_is_loaded(
    tmp_path: Path, make_context: Callable[..., Context], kind: str
) -> None:
    ctx = make_context(SOURCE.format(format="xlsx" if kind == ".xlsx" else "csv"))
    (tmp_path / "in").mkdir()
    content = packed("." + kind.rsplit(".", 1)[1])
    assert len(content) < 20_000
    (tmp_path / f"in/bomb{kind}").write_bytes(content)
    (tmp_path / f"in/good{kind.split('.gz')[0].split('.zst')[0]}").write_bytes(
        SHEET if kind == ".xlsx" else b"id,text\n1,x\n"
    )
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    with bounded(30):
        (batch,) = load(ctx)
    assert (batch.n_raw, batch.n_rejects) == (1, 1)
    assert batch.held_reason == (
        f"in/bomb{kind} cannot be read: it unpacks to more than 1,000,000 bytes; "
        "raise max_expanded_bytes of the source if that is right"
    )


def test_a_packed_file_within_the_limit_is_read(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(SOURCE.format(format="csv"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.csv.gz").write_bytes(gzip.compress(ROWS[:900_000]))
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    (batch,) = load(ctx)
    assert batch.held_reason is None and batch.n_raw == 224_998


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl/worksheets/sheet1.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'),
        ("xl/sharedStrings.xml", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><sst><si><t>&a;</t></si></sst>'),
        ("xl/_rels/workbook.xml.rels", b'<Relationships><Relationship Id="r1" Target="../../../../etc/passwd"/></Relationships>'),
        ("xl/_rels/workbook.xml.rels", b'<Relationships><Relationship Id="r1" Target="http://127.0.0.1/x"/></Relationships>'),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/worksheets/sheet1.xml", b"<a>" * 200_000),
    ],
)  # fmt: skip
def test_a_workbook_that_reaches_out_or_unfolds_is_refused(
    tmp_path: Path, part: str, content: bytes
) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(with_part(SHEET, part, content))
    with bounded(10), pytest.raises(UnreadableFile, match="cannot be read"):
        read_excel(path, sheet=None, header=True, max_bytes=10**9)


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="99999999999999"><c r="A1"><v>1</v></c></row>',
        '<row r="x"><c r="A1"><v>1</v></c></row>',
        "<row><c><v>1</v></c></row>",
        '<row r="2"><c r="A2" s="99999999999"><v>1</v></c></row>',
    ],
)
def test_places_in_a_sheet_that_are_nonsense_lose_no_row(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(
        workbook([], sheet_xml='<row r="1"><c r="A1" t="str"><v>id</v></c></row>' + rows)
    )
    table, names, rejects = read_excel(path, sheet=None, header=True, max_bytes=10**9)
    assert (table.column("c0").to_pylist(), names, rejects) == (["1"], ["id"], [])


def test_a_cell_outside_the_sheet_costs_its_row(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    sheet = '<row><c t="str"><v>id</v></c></row><row><c r="ZZZ9"><v>1</v></c></row><row><c><v>2</v></c></row>'
    path.write_bytes(workbook([], sheet_xml=sheet))
    table, _, rejects = read_excel(path, sheet=None, header=True, max_bytes=10**9)
    assert table.column("c0").to_pylist() == ["2"]
    assert [reject.row_number for reject in rejects] == [1]


EDGE = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
"""A reader that keeps a sheet as a grid would need 17 billion cells."""


def test_the_last_cell_of_a_sheet_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(workbook([], sheet_xml='<row><c t="str"><v>id</v></c></row>' + EDGE))
    with bounded(10):
        table, names, _ = read_excel(path, sheet=None, header=True, max_bytes=10**9)
    assert (table.to_pylist(), len(names)) == ([{"__row": 1, "c0": None, "c1": "2"}], 2)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl/worksheets/sheet1.xml", b"<row>" + b"<c/>" * 550_000 + b"</row>"),
        ("xl/worksheets/sheet1.xml", b"<row>" + b"<c>" * 550_000),
        ("xl/workbook.xml", b"<sheets>" + b"<sheet/>" * 1_300_000 + b"</sheets>"),
        ("xl/_rels/workbook.xml.rels", b"<a/>" * 2_600_000),
        ("[Content_Types].xml", b"<a/>" * 2_600_000),
    ],
)
def test_a_part_that_would_fill_the_memory_as_a_tree_is_refused(
    tmp_path: Path, part: str, content: bytes
) -> None:
    path = tmp_path / "x.xlsx"
    root = f'<worksheet xmlns="{MAIN}">'.encode()
    path.write_bytes(with_part(SHEET, part, root + content + b"</worksheet>"))
    with (
        bounded(20),
        pytest.raises(UnreadableFile, match=r"too much in one place|more than 10,000,000"),
    ):
        read_excel(path, sheet=None, header=True, max_bytes=10**9)


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_a_file_in_the_strict_dialect_is_held_not_taken_for_an_empty_one(
    tmp_path: Path, part: str
) -> None:
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(io.BytesIO(SHEET)) as archive:
        usual = archive.read(part).decode()
    strict = usual.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
    strict = strict.replace(LINKS, "http://purl.oclc.org/ooxml/officeDocument/relationships")
    path.write_bytes(with_part(SHEET, part, strict.encode()))
    with pytest.raises(UnreadableFile, match="not as in an ordinary .xlsx file"):
        read_excel(path, sheet=None, header=True, max_bytes=10**9)


@pytest.mark.parametrize(
    "cell",
    [
        '<c t="s"><v>-1</v></c>',
        '<c t="s"><v>7</v></c>',
        '<c t="str"><is><t>here</t></is></c>',
        "<c><v>abc</v></c>",
        '<c t="b"><v>yes</v></c>',
        '<c s="x"><v>1</v></c>',
    ],
)
def test_a_cell_that_says_nothing_clear_costs_its_row_and_is_shown(
    tmp_path: Path, cell: str
) -> None:
    path = tmp_path / "x.xlsx"
    rows = '<row><c t="str"><v>id</v></c></row>' + "".join(
        f"<row>{each}</row>" for each in (cell, "<c><v>2</v></c>")
    )
    path.write_bytes(workbook([], ["zero"], sheet_xml=rows))
    table, _, (reject,) = read_excel(path, sheet=None, header=True, max_bytes=10**9)
    assert table.to_pylist() == [{"__row": 2, "c0": "2"}]
    assert (reject.row_number, reject.line_number) == (1, 2) and reject.raw_text in cell


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
SETTINGS = {
    "a billion laughs": (BOMB + "sources: *a11\n", "aliases unfolded"),
    "an alias in itself": ("sources: &a [*a]\n", "inside what it repeats"),
    "a merge key in itself": ("sources:\n  - &a\n    <<: *a\n    name: x\n", "inside what it repeats"),
    "a huge number": ("sources: " + "9" * 5000, "not valid YAML"),
    "a day that is none": ("sources: 2024-02-30", "not valid YAML"),
    "a key twice": ("sources: []\nsources: []\n", "line 2 is not valid YAML (key 'sources' stands twice)"),
    "a key twice below": ("sources:\n  - {name: x, name: y}\n", "key 'name' stands twice"),
    "a tab": ("sources:\n\t- name: x\n", "line 2 is not valid YAML"),
    "an object": ("sources: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
    "a list": ("- sources\n", "must be a mapping"),
    "a text": ("sources", "must be a mapping"),
    "several documents": ("sources: []\n---\nsources: []\n", "not valid YAML"),
    "nested": ("sources: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "nested in blocks": ("sources:\n" + "".join(" " * i + "- \n" for i in range(1, 300)) , "nested too deeply"),
    "NaN": ("sources: .nan\n", "must be a list"),
    "a key that is a list": ("? [sources]\n: 1\n", "not valid YAML"),
    "a NUL": ("sources: []\n\0", "not valid YAML"),
    "too long": ("#" * 6_000_000, "longer than"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("load_it", [SourceList.load, Settings.load])
def test_a_hostile_settings_file_is_refused_in_one_line(
    tmp_path: Path, case: str, load_it: Callable[[Path], object]
) -> None:
    text, said = SETTINGS[case]
    path = tmp_path / "file.yml"
    path.write_text(text, encoding="utf-8")
    with bounded(5), pytest.raises(ConfigError) as error:
        load_it(path)
    message = str(error.value)
    assert str(path) in message and len(message.splitlines()) == 1 and len(message) < 600
    if load_it == SourceList.load:
        assert said in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "gb18030"])
def test_a_settings_file_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "sources.yml"
    path.write_bytes("# é退款\nsources: []\n".encode(encoding, "replace").replace(b"?", b"\xe9"))
    with pytest.raises(ConfigError, match="not valid YAML"):
        SourceList.load(path)


def test_a_settings_file_may_be_empty_have_a_mark_aliases_and_merge_keys(tmp_path: Path) -> None:
    path = tmp_path / "sources.yml"
    path.write_text("", encoding="utf-8")
    assert SourceList.load(path).sources == []
    path.write_text(
        "\ufeffsources:\n  - &a {name: x, kind: mbox, path: in/*, tags: [t]}\n  - {<<: *a, name: y}\n",
        encoding="utf-8",
    )
    assert [(source.name, source.tags) for source in SourceList.load(path).sources] == [
        ("x", ["t"]),
        ("y", ["t"]),
    ]


def test_a_hostile_override_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELAKE__KEPT_VERSIONS", "{")
    with pytest.raises(ConfigError, match="CARELAKE__KEPT_VERSIONS"):
        Settings.load(tmp_path / "carelake.yml")


N = 300_000
HTML = b"From: a@b.c\nContent-Type: text/html\n\n"
MAILS = {
    "open brackets": HTML + b"<" * N,
    "open tags": HTML + b"<a " * N,
    "open comments": HTML + b"<!--" * N,
    "open quotation marks": HTML + b'<a "' * N + b">",
    "signs": HTML + b"< " * N,
    "quotations": HTML + b"<blockquote type=cite>x" * (N // 20),
    "quoted lines": b"From: a@b.c\n\n" + b"On x:\n> y\n" * (N // 10),
    "introductions": b"From: a@b.c\n\n" + b"On 10:10 wrote:\n" * (N // 10),
    "headers in the text": b"From: a@b.c\n\n" + b"From: x\n" * (N // 5),
    "dashes": b"From: a@b.c\n\n" + b"-" * N,
    "one long line": b"From: a@b.c\n\n" + b"On a " * N + b"wrote:",
    "blank lines": b"From: a@b.c\n\n" + b"\n" * N + b"x",
    "8-bit letters of no charset": b"From: a@b.c\n\n" + bytes(range(128, 256)) * (N // 128),
    "8-bit header": b"From: a@b.c\nX: " + b"\xe9" * N + b"\n\nbody",
    "open line breaks": HTML + b"<br" * N,
    "scripts": HTML + b"<script>" * N,
    "styles": HTML + b"<style>x</style" * N,
    "brackets in an address": b"From: a@b.c\nTo: " + b"(" * N + b"\n\nbody",
    "groups": b"From: a@b.c\nTo: " + b"a:" * N + b"\n\nbody",
    "encoded words": b"From: a@b.c\nSubject: " + b"=?a?q?" * N + b"\n\nbody",
    "parameters": b"From: a@b.c\nContent-Type: multipart/mixed" + b";" * N + b"\n\nbody",
    "quoted parameters": b"From: a@b.c\nContent-Type: text/plain; x=" + b'";' * N + b"\n\nbody",
    "a disposition": b"From: a@b.c\nContent-Disposition: x" + b"; a=b" * N + b"\n\nbody",
}


@pytest.mark.parametrize("case", MAILS)
def test_no_mail_takes_a_time_that_grows_with_the_square_of_its_length(case: str) -> None:
    began = time.monotonic()
    with bounded(20):
        assert parse_message(MAILS[case])["from_address"] == "a@b.c"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "head",
    [b"Subject: =?utf-8?b?a?=", b"Subject: =?x\0y?q?=41?=", b"To: " + b"(" * 5000 + b"x@y.z"],
)
def test_a_mail_with_an_odd_header_is_still_a_mail(head: bytes) -> None:
    mail = parse_message(b"From: a@b.c\n" + head + b"\n\nbody")
    assert (mail["from_address"], mail["body_text"]) == ("a@b.c", "body")


@pytest.mark.parametrize(
    "charset", ["undefined", "a\0b", "zlib", "idna", "punycode", "nonsense", "unicode_escape"]
)
def test_a_mail_in_a_charset_that_is_none_is_still_a_mail(charset: str) -> None:
    raw = f"From: a@b.c\nContent-Type: text/plain; charset={charset}\n\nbody".encode()
    assert parse_message(raw)["body_text"] == "body"


def test_attachments_are_named_and_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "filename*=utf-8''..%2f..%2f%00evil.sh"
    raw = f"From: a@b.c\nContent-Type: text/plain\nContent-Disposition: attachment; {name}\n\nbody".encode()
    found = json.loads(parse_message(raw)["attachments"] or "")
    assert found[0]["name"] == "../../evil.sh"
    assert list(tmp_path.iterdir()) == [] and MAX_MESSAGE_BYTES > 0


def test_parts_nested_without_end_cost_their_message(tmp_path: Path) -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(2000)
    )
    path = tmp_path / "in.mbox"
    path.write_bytes(b"From x\nFrom: a@b.c\n" + nested + b"\nFrom x\nFrom: d@e.f\n\nbody\n")
    with bounded(20):
        parsed = read_mbox(path)
    assert [row["from_address"] for row in parsed.rows] == ["d@e.f"] and len(parsed.rejects) == 1
