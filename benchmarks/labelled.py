"""Labelled rows of a CSV file in the shape of our feature files, by a mapping."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from carelake import strict_yaml
from carelake.encodings import is_encoding
from carelake.setting_groups.base import Strict
from ml import features as data
from ml.competition import Rows

MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# In this order: GB18030 takes nearly any bytes for Chinese, so UTF-8 has to say no first.
GUESSES = ("utf-8", "gb18030", "cp1252")
DELIMITERS = ",;\t|"


class Unreadable(Exception):
    """A file or mapping that cannot be used; the message is one line for a person."""


class Label(Strict):
    """Which column is to be told: its values are the classes, or two of them by a bound."""

    column: str
    at_least: float | None = None


class Times(Strict):
    """Columns with moments: when it began, when we first replied, when the label became known."""

    opened: str | None = None
    replied: str | None = None
    known: str | None = None
    format: str = "%Y-%m-%d %H:%M:%S"


class Mapping(Strict):
    """How a file's columns become what our models take."""

    label: Label
    text: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    days_between: dict[str, tuple[str, str]] = Field(default_factory=dict)
    times: Times = Times()
    unique: str | None = None
    apart: str | None = None
    encoding: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Mapping:
        ours = {*data.CATEGORIES, *data.NUMBERS}
        unknown = sorted(set(self.columns) - ours)
        if unknown:
            raise ValueError(f"columns: {unknown[0]} is none of {', '.join(sorted(ours))}")
        if self.encoding is not None and not is_encoding(self.encoding):
            raise ValueError(f"encoding: {self.encoding} is not known")
        return self

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Read and check a mapping.

        Raises:
            Unreadable: naming file, key and fault.
        """
        try:
            return cls.model_validate(strict_yaml.parse(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Unreadable(f"{path}: {strict_yaml.problem(error)[1]}") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise Unreadable(f"{path}: {key}: {first['msg']}".replace(": :", ":")) from error


@dataclass(frozen=True)
class Labelled:
    """Rows ready to learn from or to be told; `apart` marks those with the column named so."""

    rows: Rows
    classes: tuple[str, ...]
    apart: np.ndarray[Any, np.dtype[np.bool_]] | None


def read_table(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """A CSV file as text, packed with gzip or not; empty cells are missing.

    Raises:
        Unreadable: naming the file and what is wrong with it.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    text = _decoded(path, content, encoding)
    head = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    try:
        table = pd.read_csv(io.StringIO(text), sep=delimiter, dtype="str", keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise Unreadable(f"{path}: {' '.join(str(error).split())}") from error
    if table.empty:
        raise Unreadable(f"{path}: there is no row below the header")
    table.columns = [str(name).strip() for name in table.columns]
    return table.where(table != "", None).astype("str")


def labelled(
    path: Path, mapping: Mapping, classes: tuple[str, ...] | None = None
) -> tuple[Labelled, list[str]]:
    """Rows of a file with their labels.

    Args:
        path: of a CSV file.
        mapping: of its columns; those a file lacks count as missing, but for label and text.
        classes: of the file a model was trained on; None where this is that file.

    Returns:
        The rows, and what is worth telling about them.

    Raises:
        Unreadable: naming file and column.
    """
    table = read_table(path, mapping.encoding)
    for name in (mapping.label.column, mapping.text):
        if name is not None and name not in table:
            has = ", ".join(table.columns[:20])
            raise Unreadable(f"{path}: there is no column '{name}'; it has {has}")
    notes = []
    said = table[mapping.label.column].str.strip()
    if (missing := int(said.isna().sum())) > 0:
        notes.append(f"{path.name}: {missing:,} rows without a label left out")
    keep = said.notna()
    if classes is None and mapping.unique in table:
        # Repeats would be learned from and asked about at once.
        again = table[mapping.unique].duplicated() & table[mapping.unique].notna()
        notes += [f"{path.name}: {int(again.sum()):,} repeats left out"] if again.any() else []
        keep &= ~again
    table, said = table[keep].reset_index(drop=True), said[keep].reset_index(drop=True)
    if table.empty:
        raise Unreadable(f"{path}: no row has a label in '{mapping.label.column}'")
    answers = _answers(path, said, mapping.label)
    found = classes or tuple(sorted(answers.unique(), key=_by_number))
    if strange := sorted(set(answers) - set(found)):
        raise Unreadable(f"{path}: label '{strange[0]}' does not occur among the rows trained on")
    if len(found) < 2:
        raise Unreadable(f"{path}: all {len(table):,} rows have the label '{found[0]}'")
    frame = _frame(table, mapping)
    codes = answers.map({name: place for place, name in enumerate(found)}).to_numpy().astype(int)
    rows = Rows(
        data.conversation_inputs(frame), codes, data.known_times(frame), frame["conversation_key"]
    )
    apart = None
    if mapping.apart is not None and mapping.apart in table:
        apart = table[mapping.apart].notna().to_numpy()
    return Labelled(rows, found, apart), notes


def _decoded(path: Path, content: bytes, encoding: str | None) -> str:
    marked = [name for mark, name in MARKS if content.startswith(mark)]
    tried = [encoding] if encoding else [*marked, *GUESSES]
    for name in tried:
        try:
            return content.decode(name)
        except UnicodeDecodeError:
            continue
    raise Unreadable(f"{path}: no text in {' or '.join(tried)}; name its encoding in the mapping")


def _answers(path: Path, said: pd.Series[Any], label: Label) -> pd.Series[Any]:
    if label.at_least is None:
        return said
    numbers = pd.to_numeric(said, errors="coerce")
    if (bad := numbers.isna()).any():
        raise Unreadable(
            f"{path}: row {int(np.argmax(bad)) + 1}, '{label.column}': "
            f"'{said[bad].iloc[0]}' is no number"
        )
    return (numbers >= label.at_least).map({True: "1", False: "0"})


def _by_number(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return np.inf, name


def _frame(table: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    """The columns of a feature file, as `ml.features` reads them."""

    def column(name: str | None) -> pd.Series[Any]:
        if name is None or name not in table:
            return pd.Series([None] * len(table), index=table.index, dtype="str")
        return table[name]

    def moment(name: str | None) -> pd.Series[Any]:
        return pd.to_datetime(column(name), format=mapping.times.format, errors="coerce", utc=True)

    opened, replied = moment(mapping.times.opened), moment(mapping.times.replied)
    wait = (replied - opened).dt.total_seconds() / 60
    parts: dict[str, Any] = {
        "conversation_key": [f"{row:09d}" for row in range(len(table))],
        "occurred_at": replied.fillna(opened),
        "label_at": moment(mapping.times.known),
        data.TEXT: column(mapping.text),
        "attributes": _attributes(table, mapping, moment),
        **{name: column(mapping.columns.get(name)) for name in data.CATEGORIES},
        **{name: np.full(len(table), np.nan) for name in data.NUMBERS},
        "hour_of_day": opened.dt.hour.astype("float64"),
        "day_of_week": opened.dt.dayofweek.astype("float64") + 1,
        # A reply before the question is a slip of somebody's clock, not a quick reply.
        "first_reply_minutes": wait.where(wait >= 0),
    }
    for ours, theirs in mapping.columns.items():
        if ours in data.NUMBERS:
            parts[ours] = pd.to_numeric(column(theirs), errors="coerce").astype("float64")
    return pd.DataFrame(parts, index=table.index)


def _attributes(table: pd.DataFrame, mapping: Mapping, moment: Any) -> pd.Series[Any]:
    parts = {name: table[name] for name in mapping.attributes if name in table}
    for name in mapping.present:
        if name in table:
            parts[f"{name} known"] = table[name].notna().map({True: "yes", False: "no"})
    for name, (since, until) in mapping.days_between.items():
        days = (moment(until) - moment(since)).dt.total_seconds() / 86_400
        parts[name] = days.round(3).astype("str").where(days.notna(), None)
    names = list(parts)
    rows = zip(
        *(part.astype(object).where(part.notna(), None) for part in parts.values()), strict=True
    )
    texts: list[str | None] = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    return pd.Series(texts or [None] * len(table), index=table.index, dtype="str")
