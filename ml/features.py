"""Read feature files and bring them into the shape models take.

A missing column is normal everywhere: a company without chat has no handle times, one without
surveys no prior satisfaction. Models see three kinds of columns only: `text`, categories and
numbers; company attributes join as `attribute: <name>`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from carelake.errors import RunFailed

CONVERSATIONS = "conversations.parquet"
CUSTOMERS = "customers.parquet"
SENTIMENT_TEXTS = "sentiment.parquet"
FILES = (CONVERSATIONS, CUSTOMERS, SENTIMENT_TEXTS)
"""What a build writes; a folder of an earlier Carelake lacks the last."""

TEXT = "text"
COMMENT = "comment"
"""What the survey's comment says: text of `from_comment`, and no input of any other model."""
CATEGORIES = ("channel", "category", "language", "customer_gender", "team")
NUMBERS = (
    "hour_of_day",
    "day_of_week",
    "n_inbound",
    "n_outbound",
    "first_reply_minutes",
    "resolution_minutes",
    "handle_seconds",
    "is_reopened",
    "n_prior_conversations",
    "prior_satisfaction",
    "n_prior_orders",
    "prior_order_value",
    "customer_age",
)
REPLY_HOUR = "reply_hour"
TEXT_LENGTH = "text_length"
DERIVED = (REPLY_HOUR, TEXT_LENGTH)
"""Numbers made here of columns that every feature file may have; no file needs them."""
AGENT_NAME = "agent_name"
CUSTOMER_NUMBERS = (
    "n_conversations",
    "n_conversations_90d",
    "n_inbound_90d",
    "n_channels",
    "n_orders",
    "order_value",
    "order_value_90d",
    "avg_order_value",
    "days_since_last_order",
    "days_since_first_order",
    "days_since_last_contact",
    "n_surveys",
    "mean_satisfaction",
    "age",
    "is_contact_only",
)
ATTRIBUTE_PREFIX = "attribute: "
# "Agent Shift" is none of these: it says when, not who.
_PEOPLE = re.compile(
    r"(agent|supervisor|manager|team.?lead(er)?|representative)([ _-]?(full)?[ _-]?names?)?",
    re.IGNORECASE,
)
MOST_ATTRIBUTES = 40
LEAST_TEXTS = 20


@dataclass(frozen=True)
class InputSpec:
    """Which columns a model takes, decided on its training rows alone."""

    has_text: bool
    categories: tuple[str, ...]
    numbers: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """All input columns in their fixed order."""
        return [*([TEXT] if self.has_text else []), *self.categories, *self.numbers]


def read_labelled(features: Path, *, with_comment: bool = False) -> pd.DataFrame:
    """Conversations with a label, one row each, ordered by key whatever the file's order.

    Args:
        features: folder of the feature files.
        with_comment: only those with a survey comment, which then is their text.
    """
    path = _existing(features / CONVERSATIONS)
    table = pq.read_table(path, filters=pc.field("label_satisfied").is_valid())
    frame = _conversation_frame(table)
    frame = commented(frame) if with_comment else frame
    return frame.sort_values("conversation_key", ignore_index=True)


def read_sentiment(features: Path) -> pd.DataFrame:
    """Texts whose sentiment somebody told, one row each, ordered by key; none in an earlier folder."""
    names = ("sentiment_key", "customer_key", "told_by", TEXT, "language", "channel", "sentiment")
    path = features / SENTIMENT_TEXTS
    table = (
        pq.read_table(path)
        if path.is_file()
        else pa.table({"sentiment_key": pa.array([], pa.string())})
    )
    columns: dict[str, Any] = {name: _strings(table, name) for name in names}
    columns["told_at"] = _times(table, "told_at")
    return pd.DataFrame(columns).sort_values("sentiment_key", ignore_index=True)


def text_inputs(texts: pd.Series[Any]) -> pd.DataFrame:
    """All that a model of single texts takes."""
    return pd.DataFrame({TEXT: texts})


def commented(frame: pd.DataFrame) -> pd.DataFrame:
    """The conversations whose survey has a comment, that comment being their text."""
    spoke = frame[COMMENT].str.strip().fillna("") != ""
    return frame[spoke].assign(text=frame.loc[spoke, COMMENT]).reset_index(drop=True)


def conversation_chunks(
    features: Path, rows: int, only_commented: bool = False
) -> Iterator[pd.DataFrame]:
    """Every conversation in chunks of at most `rows`, in file order; memory stays bounded.

    Args:
        features: folder of the feature files.
        rows: the most of a chunk.
        only_commented: those with a survey comment alone, see `commented`; a chunk may then be empty.
    """
    with pq.ParquetFile(_existing(features / CONVERSATIONS)) as file:
        for batch in file.iter_batches(batch_size=rows):
            table = pa.Table.from_batches([batch])
            if not only_commented:
                yield _conversation_frame(table)
                continue
            if COMMENT in table.column_names:
                # most have none: left out before their columns are made
                table = table.filter(pc.not_equal(table[COMMENT].cast(pa.string()), ""))
            yield commented(_conversation_frame(table))


def conversation_times(features: Path) -> pd.DataFrame:
    """Key and close of every conversation, in file order."""
    path = _existing(features / CONVERSATIONS)
    table = pq.read_table(path, columns=["conversation_key", "occurred_at"])
    return pd.DataFrame(
        {
            "conversation_key": _strings(table, "conversation_key"),
            "occurred_at": _times(table, "occurred_at"),
        }
    )


def conversations_at(features: Path, places: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The conversations at some places of the file, in ascending order."""
    kept, first = [], 0
    with pq.ParquetFile(_existing(features / CONVERSATIONS)) as file:
        schema = file.schema_arrow
        for batch in file.iter_batches(batch_size=50_000):
            last = first + batch.num_rows
            here = places[(places >= first) & (places < last)] - first
            if len(here):
                kept.append(batch.take(pa.array(here)))
            first = last
    return _conversation_frame(pa.Table.from_batches(kept, schema))


def answers_since(features: Path, since: pd.Timestamp) -> pd.DataFrame:
    """Key, label, channel and language of the conversations whose answer came after a moment."""
    path = _existing(features / CONVERSATIONS)
    there = set(pq.read_schema(path).names)
    names = ["conversation_key", "label_satisfied", "label_at", "channel", "language", COMMENT]
    table = pq.read_table(path, columns=[name for name in names if name in there])
    known = table.filter(pc.field("label_satisfied").is_valid())
    frame = _conversation_frame(known)
    return frame[frame["label_at"] > since].reset_index(drop=True)


def read_customers(features: Path) -> pd.DataFrame:
    """All customers, one row each, ordered by key; numbers as float64."""
    frame = customer_frame(pq.read_table(_existing(features / CUSTOMERS)))
    return frame.sort_values("customer_key", ignore_index=True)


def customer_chunks(features: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Every customer in chunks of at most `rows`, in file order."""
    with pq.ParquetFile(_existing(features / CUSTOMERS)) as file:
        for batch in file.iter_batches(batch_size=rows):
            yield customer_frame(pa.Table.from_batches([batch]))


def customer_frame(table: pa.Table) -> pd.DataFrame:
    """A table of customer features as a frame: keys and gender as text, the rest float64."""
    columns: dict[str, Any] = {name: _strings(table, name) for name in ("customer_key", "gender")}
    columns |= {name: _numbers(table, name) for name in CUSTOMER_NUMBERS}
    return pd.DataFrame(columns)


def conversation_inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Every column a model may take, attributes unfolded; rows as in `frame`.

    Names of agents and managers are not among them: see `people_inputs`.
    """
    kept = frame[[TEXT, *CATEGORIES, *NUMBERS]].copy()
    # What hour it was when the first reply came, in the zone of `hour_of_day`.
    kept[REPLY_HOUR] = (frame["hour_of_day"] + frame["first_reply_minutes"] / 60) % 24
    kept[TEXT_LENGTH] = frame[TEXT].str.len().fillna(0).astype("float64")
    for name, values in _attributes(frame["attributes"]).items():
        if not _PEOPLE.fullmatch(name.strip()):
            kept[ATTRIBUTE_PREFIX + name] = values
    return kept


def people_inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Names of agents and managers, which are no inputs of any model: to tell what they would add."""
    kept = {AGENT_NAME: frame[AGENT_NAME]} if AGENT_NAME in frame else {}
    for name, values in _attributes(frame["attributes"]).items():
        if _PEOPLE.fullmatch(name.strip()):
            kept[ATTRIBUTE_PREFIX + name] = values
    return pd.DataFrame(kept, index=frame.index).dropna(axis=1, how="all")


def choose_inputs(inputs: pd.DataFrame) -> InputSpec:
    """Columns worth giving to a model: filled, not constant, and no identifiers.

    An attribute whose values are numbers nearly everywhere counts as one.
    """
    attributes = [name for name in inputs.columns if str(name).startswith(ATTRIBUTE_PREFIX)]
    filled = inputs[attributes].notna().sum()
    attributes = sorted(attributes, key=lambda name: (-int(filled[name]), name))[:MOST_ATTRIBUTES]
    categories = [name for name in CATEGORIES if name in inputs and _varies(inputs[name])]
    texts = int(inputs[TEXT].notna().sum())
    has_text = texts >= max(LEAST_TEXTS, len(inputs) // 50)
    known = [name for name in (*NUMBERS, *DERIVED) if name in inputs]
    numbers = [
        name for name in known if _varies(inputs[name]) and (has_text or name != TEXT_LENGTH)
    ]
    for name in sorted(attributes):
        column = inputs[name]
        if not _varies(column):
            continue
        if _is_numeric(column):
            numbers.append(name)
        elif not _is_identifier(column):
            categories.append(name)
    return InputSpec(has_text, tuple(categories), tuple(numbers))


def conform(inputs: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """`inputs` with exactly the columns of a model; what the data lacks is missing, not an error.

    Args:
        inputs: from `conversation_inputs`.
        columns: name -> "text" or "number", in the model's order.
    """
    shaped: dict[str, pd.Series[Any]] = {}
    for name, kind in columns.items():
        column = inputs[name] if name in inputs else pd.Series(np.nan, index=inputs.index)
        if kind == "number":
            shaped[name] = pd.to_numeric(column, errors="coerce").astype("float64")
        else:
            shaped[name] = column.astype("str").where(column.notna(), None).astype("str")
    return pd.DataFrame(shaped, index=inputs.index)


def kinds(spec: InputSpec) -> dict[str, str]:
    """Column -> "text" or "number", as `conform` takes it."""
    return {name: "number" if name in spec.numbers else "text" for name in spec.columns}


def known_times(frame: pd.DataFrame) -> pd.Series[Any]:
    """When each label became known: the answer's time, else that of the conversation (UTC)."""
    return frame["label_at"].fillna(frame["occurred_at"])


def frame_digest(frame: pd.DataFrame) -> str:
    """sha256 of a frame's names and values; rows must be in canonical order."""
    digest = hashlib.sha256(json.dumps([str(name) for name in frame.columns]).encode())
    for name in frame.columns:
        hashes = pd.util.hash_pandas_object(frame[name], index=False)
        digest.update(np.ascontiguousarray(hashes.to_numpy()).tobytes())
    return digest.hexdigest()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise RunFailed(f"{path}: feature file is missing; build up to features first")
    try:
        pq.read_metadata(path)
    except pa.ArrowException as error:
        # a build keeps a folder that is there, as its name is the digest of what is in it
        what = " ".join(str(error).split())
        raise RunFailed(
            f"{path}: feature file is damaged ({what}); remove its folder and `carelake build`"
        ) from error
    return path


def _conversation_frame(table: pa.Table) -> pd.DataFrame:
    columns: dict[str, Any] = {
        name: _strings(table, name)
        for name in (
            "conversation_key",
            "customer_key",
            "attributes",
            AGENT_NAME,
            COMMENT,
            TEXT,
            *CATEGORIES,
        )
    }
    columns |= {name: _numbers(table, name) for name in NUMBERS}
    columns |= {name: _times(table, name) for name in ("occurred_at", "label_at")}
    columns["label"] = _numbers(table, "label_satisfied")
    return pd.DataFrame(columns)


def _strings(table: pa.Table, name: str) -> pd.Series[Any]:
    if name not in table.column_names:
        return pd.Series([None] * table.num_rows, dtype="str")
    values: pd.Series[Any] = table[name].cast(pa.string()).to_pandas()
    return values.astype("str")


def _numbers(table: pa.Table, name: str) -> pd.Series[Any]:
    if name not in table.column_names:
        return pd.Series(np.full(table.num_rows, np.nan))
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: pd.Series[Any] = column.cast(pa.float64()).to_pandas()
    return values.astype("float64")


def _times(table: pa.Table, name: str) -> pd.Series[Any]:
    kind = pa.timestamp("us", tz="UTC")
    column = table[name] if name in table.column_names else pa.nulls(table.num_rows, kind)
    values: pd.Series[Any] = column.cast(kind, safe=False).to_pandas()
    return values


def _attributes(column: pd.Series[Any]) -> dict[str, pd.Series[Any]]:
    """Attribute name -> its values as text. Each distinct JSON text is parsed once."""
    codes, texts = pd.factorize(column)
    parsed = [_parse(text) for text in texts]
    names = sorted({name for entry in parsed for name in entry})
    unfolded: dict[str, pd.Series[Any]] = {}
    for name in names:
        values = np.array([entry.get(name) for entry in parsed] + [None], dtype=object)
        unfolded[name] = pd.Series(values[codes], index=column.index, dtype="str")
    return unfolded


def _parse(text: str) -> dict[str, str]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        str(name): str(value).strip()
        for name, value in content.items()
        if value is not None and str(value).strip() and not isinstance(value, dict | list)
    }


def _varies(column: pd.Series[Any]) -> bool:
    return bool(column.nunique(dropna=False) > 1 and column.notna().any())


def _is_numeric(column: pd.Series[Any]) -> bool:
    values = column.dropna()
    numbers = pd.to_numeric(values, errors="coerce")
    return bool(numbers.notna().mean() >= 0.95 and numbers.nunique() > 12)


def _is_identifier(column: pd.Series[Any]) -> bool:
    values = column.dropna()
    return bool(values.nunique() > 50 and values.nunique() > len(values) / 2)
