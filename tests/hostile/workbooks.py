"""Excel files written by hand, cell by cell, so that anything can stand in them."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from tests.hostile.bench import Case
from tests.hostile.texts import NASTY, arriving

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KINDS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
TYPES = (
    f'<Types xmlns="{PACKAGE}/content-types">'
    + "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{KINDS}.{kind}+xml"/>'
        for part, kind in {
            "workbook": "sheet.main",
            "styles": "styles",
            "sharedStrings": "sharedStrings",
            "worksheets/sheet1": "worksheet",
        }.items()
    )
    + "</Types>"
)
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="170" formatCode="yyyy\\-mm\\-dd hh:mm:ss"/></numFmts>'
    '<cellXfs count="6"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="46"/><xf numFmtId="31"/><xf numFmtId="20"/></cellXfs></styleSheet>'
)


@dataclass(frozen=True)
class Cell:
    """XML of one cell, without its place, and the text that must arrive."""

    kind: str
    inner: str
    expected: str | None


def letters(column: int) -> str:
    """A column's name: 0 is A."""
    name, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def workbook(
    rows: list[list[Cell | None]],
    shared: list[str] | None = None,
    *,
    sheet_xml: str | None = None,
    extra: dict[str, bytes] | None = None,
) -> bytes:
    """An .xlsx file; `sheet_xml` stands for the sheet's rows, `extra` adds or replaces parts."""
    body = sheet_xml
    if body is None:
        body = "".join(
            f'<row r="{r}">'
            + "".join(
                f'<c r="{letters(c)}{r}" {cell.kind}>{cell.inner}</c>'
                for c, cell in enumerate(row)
                if cell
            )
            + "</row>"
            for r, row in enumerate(rows, start=1)
        )
    texts = "".join(f'<si><t xml:space="preserve">{escape(t)}</t></si>' for t in shared or [])
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES,
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets><sheet name="one" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{texts}</sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>',
        **(extra or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def text_cell(text: str) -> Cell:
    """A text; control characters are written as Excel does."""
    shown = re.sub("_x([0-9A-Fa-f]{4})_", r"_x005F_x\1_", text)
    shown = re.sub("[\x00-\x08\x0b-\x1f\ufffe\uffff\r]", lambda m: f"_x{ord(m[0]):04X}_", shown)
    return Cell('t="inlineStr"', f'<is><t xml:space="preserve">{escape(shown)}</t></is>', text)


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=15)
CELLS = st.one_of(
    st.sampled_from([t for t in NASTY if t.strip()]).map(text_cell),
    XML_TEXT.filter(lambda t: bool(t.strip())).map(text_cell),
    st.integers(-(10**18), 10**18).map(lambda n: Cell("", f"<v>{n}</v>", str(n))),
    st.sampled_from([("1.5", "1.5"), ("0.1", "0.1"), ("1E+300", "1e+300"), ("2.0", "2"), ("0.10000000000000001", "0.1")]).map(
        lambda p: Cell("", f"<v>{p[0]}</v>", p[1])
    ),
    st.sampled_from(
        [("45292", "1", "2024-01-01"), ("45292.5", "2", "2024-01-01 12:00:00"), ("59.25", "2", "1900-02-28 06:00:00"), ("61", "1", "1900-03-01"), ("1", "1", "1900-01-01"),
         ("2958465", "1", "9999-12-31"), ("2958466", "1", "2958466"), ("-1", "1", "-1"), ("1e99", "2", "1e+99"), ("1.5", "3", "36:00:00"), ("45292", "4", "2024-01-01"), ("45292.25", "5", "2024-01-01 06:00:00"), ("0.25", "5", "06:00:00")]
    ).map(lambda p: Cell(f's="{p[1]}"', f"<v>{p[0]}</v>", p[2])),
    st.sampled_from([("1", "true"), ("0", "false")]).map(lambda p: Cell('t="b"', f"<v>{p[0]}</v>", p[1])),
    st.just(Cell('t="e"', "<v>#REF!</v>", "#REF!")),
    st.just(Cell('t="str"', "<f>1+1</f><v>two</v>", "two")),
    st.just(Cell('t="s"', "<v>1</v>", "shared & <two>")),
)  # fmt: skip
SHARED = ["zero", "shared & <two>"]


@st.composite
def xlsx_case(draw: st.DrawFn) -> Case:
    """One workbook: rows of any cells, empty rows between them, some that refer to nothing."""
    kinds = draw(st.lists(st.sampled_from(["good"] * 10 + ["empty", "nowhere"]), max_size=10))
    header = [
        text_cell("id"),
        text_cell("text"),
        text_cell(draw(st.sampled_from(["more", "ID", "rowid", "'; --"]))),
    ]
    rows: list[list[Cell | None]] = [[] for _ in range(draw(st.integers(0, 2)))] + [header]
    case = Case(b"", good=[])
    place = 0
    for i, kind in enumerate(kinds, start=1):
        if kind == "empty":
            rows.append([])
            continue
        place += 1
        if kind == "nowhere":
            rows.append(
                [
                    text_cell(f"b{i}"),
                    Cell(
                        't="s"',
                        f"<v>{draw(st.sampled_from(['99', '-1', 'x', '9' * 30]))}</v>",
                        None,
                    ),
                ]
            )
            case.n_broken += 1
            continue
        cell = draw(st.one_of(CELLS, st.none()))
        rows.append(
            [
                text_cell(f"r{i}"),
                cell,
                draw(st.one_of(CELLS, st.none())),
                *([text_cell("beyond")] * draw(st.integers(0, 2))),
            ]
        )
        assert case.good is not None
        case.good.append((f"r{i}", arriving(cell.expected) if cell else None))
        case.places.append(place)
    case.content = workbook(rows, SHARED)
    return case


def part_names() -> list[str]:
    """Parts of a workbook worth breaking."""
    return [
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        "xl/sharedStrings.xml",
        "xl/worksheets/sheet1.xml",
    ]


def with_part(content: bytes, name: str, change: bytes) -> bytes:
    """A workbook with one part replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.namelist():
            new.writestr(part, change if part == name else old.read(part))
    return out.getvalue()
