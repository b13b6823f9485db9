"""Labelled rows of a file in the shape of our feature files, by a mapping."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from benchmarks.reading import Unreadable, read_table
from carelake import strict_yaml
from carelake.encodings import is_encoding
from carelake.setting_groups.base import Strict
from ml import features as data
from ml.competition import Rows

NO_LABELS = ("", "nan", "null", "<na>")
"""What tools write where there is nothing."""
SHOWN = 20
"""So many columns or labels are named in a message."""


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


def labelled(
    path: Path, mapping: Mapping, classes: tuple[str, ...] | None = None
) -> tuple[Labelled, list[str]]:
    """Rows of a file with their labels.

    Args:
        path: of the file.
        mapping: of its columns; those a file lacks count as missing, but for label and text.
        classes: of the file a model was trained on; None where this is that file.

    Returns:
        The rows, and what is worth telling about them. Classes that the file trained on lacks
        stand behind its own.

    Raises:
        Unreadable: naming file and column.
    """
    table, notes = read_table(path, mapping.encoding)
    table = _named(path, table, mapping)
    said = table[mapping.label.column].str.strip()
    said = said.mask(said.str.casefold().isin(NO_LABELS), None)
    if (missing := int(said.isna().sum())) > 0:
        notes.append(f"{path.name}: {missing:,} rows without a label left out")
    keep = said.notna()
    if classes is None and mapping.unique in table:
        # Repeats would be learned from and asked about at once.
        again = table[mapping.unique].duplicated() & table[mapping.unique].notna()
        notes += [f"{path.name}: {int(again.sum()):,} repeats left out"] if again.any() else []
        keep &= ~again
    if not keep.any():
        raise Unreadable(f"{path}: no row has a label in '{mapping.label.column}'")
    answers = _answers(path, said[keep], mapping.label)
    if classes is None:
        answers, more = _without_single(path, answers, mapping.label.column)
        found = tuple(sorted(answers.unique(), key=_by_number))
    else:
        answers = _spelt_alike(answers, classes)
        found, more = _with_unknown(path, answers, classes)
    notes += more
    if len(found) < 2:
        raise Unreadable(f"{path}: all {len(answers):,} rows have the label '{found[0]}'")
    table = table.loc[answers.index].reset_index(drop=True)
    notes += _unread_moments(path, table, mapping.times)
    frame = _frame(table, mapping)
    codes = answers.map({name: place for place, name in enumerate(found)}).to_numpy().astype(int)
    rows = Rows(
        data.conversation_inputs(frame), codes, data.known_times(frame), frame["conversation_key"]
    )
    apart = None
    if mapping.apart is not None and mapping.apart in table:
        apart = table[mapping.apart].notna().to_numpy()
    return Labelled(rows, found, apart), notes


def _named(path: Path, table: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    """The table with label and text under the mapping's names, whatever their capitals."""
    for name in (mapping.label.column, mapping.text):
        if name is None or name in table:
            continue
        like = [one for one in table.columns if one.casefold() == name.casefold()]
        if len(like) != 1:
            has = ", ".join(table.columns[:SHOWN])
            raise Unreadable(
                f"{path}: there is no column '{name}'; it has {has}; name yours in the mapping"
            )
        table = table.rename(columns={like[0]: name})
    return table


def _without_single(
    path: Path, answers: pd.Series[Any], column: str
) -> tuple[pd.Series[Any], list[str]]:
    """Without labels that one row has: of one row nothing can be learned and checked as well."""
    single = answers.map(answers.value_counts()) == 1
    if not single.any():
        return answers, []
    names = ", ".join(answers[single].iloc[:SHOWN])
    if 2 * int(single.sum()) > len(answers):
        raise Unreadable(
            f"{path}: {int(single.sum()):,} of {len(answers):,} labels in '{column}' occur once; "
            f"name the column with the classes in the mapping"
        )
    return answers[~single], [f"{path.name}: a label of one row is left out: {names}"]


def _spelt_alike(answers: pd.Series[Any], classes: tuple[str, ...]) -> pd.Series[Any]:
    """Labels in the spelling of the classes, where only capitals differ (Excel writes TRUE)."""
    known = {name.casefold(): name for name in classes}
    return answers.map(lambda name: name if name in classes else known.get(name.casefold(), name))


def _with_unknown(
    path: Path, answers: pd.Series[Any], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str]]:
    """The classes with those behind them that no row trained on had, and a line about these."""
    unknown = ~answers.isin(classes)
    if not unknown.any():
        return classes, []
    names = sorted(answers[unknown].unique())
    if unknown.all():
        raise Unreadable(
            f"{path}: none of its labels ({', '.join(names[:SHOWN])}) occurs among the rows trained "
            f"on ({', '.join(classes[:SHOWN])}); write them alike in both files"
        )
    first = int(answers.index[unknown][0]) + 1
    told = (
        f"{path.name}: {int(unknown.sum()):,} rows, the first is row {first}, have labels that no row "
        f"trained on has, and count as missed: {', '.join(names[:SHOWN])}"
    )
    return (*classes, *names), [told]


def _answers(path: Path, said: pd.Series[Any], label: Label) -> pd.Series[Any]:
    if label.at_least is None:
        return said.map(_plain)
    numbers = pd.to_numeric(said, errors="coerce")
    if (bad := numbers.isna()).any():
        raise Unreadable(
            f"{path}: row {int(said.index[bad][0]) + 1} below the header, '{label.column}': "
            f"'{said[bad].iloc[0]}' is no number; mend it, or leave the cell empty"
        )
    return (numbers >= label.at_least).map({True: "1", False: "0"})


def _plain(name: str) -> str:
    """A number as one would write it: a column with gaps makes 1.0 of 1 in many a tool."""
    try:
        value = float(name)
    except ValueError:
        return name
    return f"{value:.12g}" if np.isfinite(value) else name


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
        return _moments(column(name), mapping.times)

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


def _moments(said: pd.Series[Any], times: Times) -> pd.Series[Any]:
    return pd.to_datetime(said, format=times.format, errors="coerce", utc=True)


def _unread_moments(path: Path, table: pd.DataFrame, times: Times) -> list[str]:
    """A line for each column whose moments are written otherwise than the mapping says; they count as missing."""
    told = []
    for name in dict.fromkeys((times.opened, times.replied, times.known)):
        if name is None or name not in table:
            continue
        unread = table[name].notna() & _moments(table[name], times).isna()
        if unread.any():
            one = table[name][unread].iloc[0]
            told.append(
                f"{path.name}: '{name}': {int(unread.sum()):,} moments like '{one}' are not written "
                f"as {times.format} and count as missing; mend times.format in the mapping"
            )
    return told


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
