"""CSV files, built record by record, so that it is known which are sound."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.hostile.bench import Case
from tests.hostile.texts import PLAIN, TEXT, arriving

BROKEN = ("few", "many", "nul", "charset", "unclosed", "after", "long", "bytes in quotes")
BAD_BYTES = {"utf-8": b"\xff\xfe", "gb18030": b"\xff"}


@dataclass(frozen=True)
class Shape:
    """How all files of one batch are written: one source has one dialect."""

    delimiter: str = ","
    end: str = "\n"
    bom: bool = False
    header: bool = True
    encoding: str = "utf-8"


def shapes(encoding: str = "utf-8", header: bool = True) -> st.SearchStrategy[Shape]:
    """Dialects: delimiters, line ends, with or without a byte order mark."""
    return st.builds(
        Shape,
        delimiter=st.sampled_from(",;\t|"),
        end=st.sampled_from(["\n", "\n", "\r\n", "\r", "mixed"]),
        bom=st.booleans() if encoding == "utf-8" else st.just(False),
        header=st.just(header),
        encoding=st.just(encoding),
    )


@st.composite
def csv_case(draw: st.DrawFn, shape: Shape) -> Case:
    """One file of a shape: 0 to 12 records, some of them broken."""
    kinds = draw(st.lists(st.sampled_from(["good"] * 12 + list(BROKEN)), max_size=12))
    if shape.encoding == "utf-16":
        kinds = [k for k in kinds if k not in ("charset", "bytes in quotes")]
    # behind an open quote, the next quoted field must not look like its end
    is_tame = "unclosed" in kinds or "bytes in quotes" in kinds
    case = Case(b"", good=[])
    content = b""
    if shape.header:
        content = _join(shape, ["id", "text", "more", draw(_name())]).encode(shape.encoding)
    for i, kind in enumerate(kinds, start=1):
        content += _end(draw, shape).encode(_bare(shape)) if content else b""
        if draw(st.integers(0, 15)) == 0 and content:
            content += _end(draw, shape).encode(_bare(shape))
        if kind == "good":
            fields = [f"r{i}", *(draw(_field(shape, is_tame)) for _ in range(3))]
            content += _join(shape, fields, draw(st.booleans()) and not is_tame).encode(
                _bare(shape)
            )
            assert case.good is not None
            case.good.append((f"r{i}", arriving(fields[1])))
            case.places.append(i)
        else:
            content += _broken(shape, kind, i)
            case.n_broken += 1
    if draw(st.booleans()) and content:
        content += _end(draw, shape).encode(_bare(shape))
    case.content = (b"\xef\xbb\xbf" if shape.bom else b"") + content
    return case


def _bare(shape: Shape) -> str:
    return "utf-16-le" if shape.encoding == "utf-16" else shape.encoding


def _name() -> st.SearchStrategy[str]:
    odd = [
        "",
        "TEXT",
        "__row",
        "rowid",
        "x'); drop table raw.communications; --",
        "a.b",
        "*",
        "__content",
        "file_name",
        "ü",
        "c0",
    ]
    return st.sampled_from(odd)


def _field(shape: Shape, is_tame: bool) -> st.SearchStrategy[str]:
    texts = PLAIN if is_tame else TEXT
    if shape.end == "\r":
        # a lone newline anywhere says that lines end in newlines
        texts = texts.map(lambda t: t.replace("\n", ""))
    if shape.encoding == "utf-16":
        texts = texts.map(lambda t: t.replace("\ufeff", ""))
    return texts


def _end(draw: st.DrawFn, shape: Shape) -> str:
    return draw(st.sampled_from(["\n", "\r\n"])) if shape.end == "mixed" else shape.end


def _join(shape: Shape, fields: list[str], quote_all: bool = False) -> str:
    needs = (shape.delimiter, '"', "\r", "\n")
    shown = [
        '"' + f.replace('"', '""') + '"' if quote_all or any(c in f for c in needs) else f
        for f in fields
    ]
    return shape.delimiter.join(shown)


def _broken(shape: Shape, kind: str, i: int) -> bytes:
    fields = [f"b{i}", "x", "y", "z"]
    if kind == "few":
        fields.pop()
    elif kind == "many":
        fields.append("more")
    elif kind == "nul":
        fields[1] = "a\0b"
    elif kind == "long":
        fields[1] = "x" * 4000
    line = shape.delimiter.join(fields)
    if kind == "unclosed":
        line = shape.delimiter.join([f"b{i}", '"never closed', "y", "z"])
    elif kind == "after":
        line = shape.delimiter.join([f"b{i}", '"a"b', "y", "z"])
    bad = BAD_BYTES.get(shape.encoding, b"")
    if kind == "charset":
        return line.replace("x", "?", 1).encode(shape.encoding).replace(b"?", bad)
    if kind == "bytes in quotes":
        end = "\n" if shape.end == "mixed" else shape.end
        text = shape.delimiter.join([f"b{i}", f'"one{end}t?o"', "y", "z"])
        return text.encode(shape.encoding).replace(b"?", bad)
    return line.encode(_bare(shape))
