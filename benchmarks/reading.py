"""Tables as strangers hand them over: any delimiter, several encodings, packed or not, Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa

MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
DELIMITERS = ",;\t|"
NO_TABLES = (
    (b"PK\x03\x04", "a zip archive or an Excel file; give the CSV file in it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save it as CSV"),
    (b"{", "JSON; write it as CSV with a header"),
    (b"[", "JSON; write it as CSV with a header"),
)
MEND = "; put texts that hold the delimiter between quotation marks, and double the marks in them"
MOST_DAMAGED = 0.1
"""Of a file's characters beyond ASCII: with more of them unreadable it is in another encoding."""


class Unreadable(Exception):
    """A file or mapping that cannot be used; the message is one line for a person."""


def read_table(path: Path, encoding: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """A file's cells as text, empty ones missing; and what is worth telling about it.

    Raises:
        Unreadable: naming the file and what is wrong with it.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    notes: list[str] = []
    if content.startswith(b"PAR1"):
        table = _parquet(path, content)
    else:
        for start, what in NO_TABLES:
            if content.startswith(start):
                raise Unreadable(f"{path}: this is {what}")
        text, notes = decoded(path, content, encoding)
        # a damaged file with a mark is not read by the mark, which then stands before the first name
        table = _delimited(path, text.removeprefix("\ufeff"))
    if table.empty:
        raise Unreadable(f"{path}: there is no row below the header")
    table.columns = [str(name).strip() for name in table.columns]
    # a cell of blanks says no more than an empty one
    return table.where(table.apply(lambda cells: cells.str.strip()) != "", None).astype(
        "str"
    ), notes


def decoded(path: Path, content: bytes, encoding: str | None) -> tuple[str, list[str]]:
    """A file's text, and a line where bytes of it could not be read.

    In this order: GB18030 takes nearly any bytes for Chinese, so UTF-8 has to say no first, also to
    a file with a few damaged bytes.
    """
    marked = [name for mark, name in MARKS if content.startswith(mark)]
    for name in [encoding] if encoding else marked:
        try:
            return content.decode(name), []
        except UnicodeDecodeError:
            continue
    if encoding:
        found = _little_damaged(path, content, encoding)
    else:
        found = _little_damaged(path, content, "utf-8") or _guessed(path, content)
    if found is None:
        tried = encoding or "utf-8 or gb18030 or cp1252"
        raise Unreadable(f"{path}: no text in {tried}; name its encoding in the mapping")
    return found


def _guessed(path: Path, content: bytes) -> tuple[str, list[str]] | None:
    """The text of a file that is not in UTF-8: Chinese if it looks so, else western."""
    chinese = _little_damaged(path, content, "gb18030")
    if chinese is not None and _is_chinese(chinese[0]):
        return chinese
    try:
        return content.decode("cp1252"), []
    except UnicodeDecodeError:
        return chinese


def _little_damaged(path: Path, content: bytes, name: str) -> tuple[str, list[str]] | None:
    """The text with U+FFFD for bytes that cannot be read, if these are few beside those that can."""
    text = content.decode(name, errors="replace")
    bad = text.count("\ufffd")
    if not bad:
        return text, []
    beyond = sum(len(run) for run in re.findall(r"[^\x00-\x7f]+", text))
    if bad > MOST_DAMAGED * beyond:
        return None
    line = text[: text.index("\ufffd")].count("\n") + 1
    return text, [f"{path.name}: {bad:,} damaged places, the first in line {line}: no {name}"]


def _is_chinese(text: str) -> bool:
    """Whether characters beyond ASCII stand side by side, as in Chinese, and not alone, as in café."""
    runs = [len(run) for run in re.findall(r"[^\x00-\x7f]+", text)]
    return 2 * sum(run for run in runs if run > 1) >= sum(runs)


def _parquet(path: Path, content: bytes) -> pd.DataFrame:
    try:
        table = pd.read_parquet(io.BytesIO(content), dtype_backend="numpy_nullable")
    except (pa.ArrowException, ValueError, OSError) as error:
        raise Unreadable(f"{path}: {' '.join(str(error).split())}") from error
    # pandas keeps a column there that was its index
    table = table.reset_index(drop=table.index.names == [None])
    return table.astype("object").map(str, na_action="ignore").where(table.notna(), None)


def _delimited(path: Path, text: str) -> pd.DataFrame:
    # Excel's own word for the delimiter, before the header
    text = re.sub(r"\Asep=.\s*?[\r\n]+", "", text)
    lines = re.split(r"\r\n|\r|\n", text)
    delimiter = max(DELIMITERS, key=lines[0].count)
    # Where each line has the header's number of tabs, a quotation mark is one, and hides no tab or end.
    is_literal = delimiter == "\t" and len({line.count("\t") for line in lines if line}) == 1
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            dtype="str",
            keep_default_na=False,
            quoting=csv.QUOTE_NONE if is_literal else csv.QUOTE_MINIMAL,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        what = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise Unreadable(f"{path}: {what}{MEND if delimiter in text else ''}") from error
    if is_literal:
        return table.rename(columns=_unwrapped).map(_unwrapped)
    return table if isinstance(table.index, pd.RangeIndex) else _shifted(path, table)


def _unwrapped(cell: str) -> str:
    """A cell without the marks around it, if it is quoted as a whole."""
    if re.fullmatch(r'"(?:[^"]|"")*"', cell):
        return cell[1:-1].replace('""', '"')
    return cell


def _shifted(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """A table whose rows have a cell more than the header, which pandas took for names of rows."""
    last = table.iloc[:, -1] == ""
    if last.all() and table.index.nlevels == 1:
        # each line ends in a delimiter
        columns = table.columns
        table = table.reset_index().iloc[:, :-1]
        table.columns = columns
        return table
    if last.any() or table.index.nlevels > 1:
        raise Unreadable(f"{path}: row 1 below the header has more cells than the header{MEND}")
    return table.reset_index(drop=True)
