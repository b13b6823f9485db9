"""Score every conversation and every customer with the champions, in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from carelake.settings import Home, Settings
from ml import features as data
from ml import segmentation
from ml.reasons import reader_of, told
from ml.registry import Champion, Registry
from ml.results import FROM_COMMENT, MODELS, SATISFACTION, SEGMENTS, ScoreResult, read_decisions

CHUNK_ROWS = 20_000
PROBABILITY = pa.decimal128(9, 6)
DISTANCE = pa.decimal128(18, 6)
_TAIL = [
    ("model_name", pa.string()),
    ("model_version", pa.int32()),
    ("model_digest", pa.string()),
    ("features_digest", pa.string()),
]
RULE = "rule"
"""Stands where a model's digest would, for what no model decided."""
SATISFACTION_SCHEMA = pa.schema(
    [
        ("conversation_key", pa.string()),
        ("p_satisfied", PROBABILITY),
        ("reasons", pa.string()),
        *_TAIL,
    ]
)
SEGMENT_SCHEMA = pa.schema(
    [
        ("customer_key", pa.string()),
        ("segment_id", pa.int32()),
        ("segment_name", pa.string()),
        ("distance", DISTANCE),
        *_TAIL,
    ]
)


def score_all(
    home: Home, settings: Settings, folder: Path, *, report: Callable[[str], None]
) -> ScoreResult:
    """See `ml.score`. Files of the same features and models are used again, not rewritten."""
    registry = Registry(home)
    found = {name: registry.champion(name) for name in MODELS}
    digests = {
        name: str(version.tags.get("model_digest", ""))
        for name, version in found.items()
        if version
    }
    versions = {name: int(version.version) for name, version in found.items() if version}
    missing = {name: _why_missing(home, name) for name in MODELS if name not in digests}
    for name, reason in missing.items():
        what = "told apart by orders alone" if name == SEGMENTS else "no scores"
        report(f"{name}: {what}, {reason}")
    target = home.scores / f"{folder.name}-{_joint_digest(digests, versions)}"
    receipt = target / "receipt.json"
    if receipt.exists():
        counts = json.loads(receipt.read_text(encoding="utf-8"))
        return _result(target, counts, versions, missing, reused=True)
    target.mkdir(parents=True, exist_ok=True)
    champions = {name: registry.load(version) for name, version in found.items() if version}
    with threadpool_limits(limits=1):
        conversations = write_tables(
            target / "satisfaction_scores.parquet",
            SATISFACTION_SCHEMA,
            satisfaction_tables(champions.get(SATISFACTION), folder),
        )
        comments = write_tables(
            target / "comment_scores.parquet",
            SATISFACTION_SCHEMA,
            satisfaction_tables(champions.get(FROM_COMMENT), folder),
        )
        customers = write_tables(
            target / "segment_scores.parquet",
            SEGMENT_SCHEMA,
            _segments(champions.get(SEGMENTS), folder),
        )
    counts = {
        "n_conversations": conversations,
        "n_comments": comments,
        "n_customers": customers,
    }
    partial = receipt.with_suffix(".partial")
    partial.write_text(json.dumps(counts), encoding="utf-8")
    partial.replace(receipt)
    return _result(target, counts, versions, missing, reused=False)


def satisfaction_tables(champion: Champion | None, folder: Path) -> Iterator[pa.Table]:
    """Scores of one champion, chunk by chunk; none without a champion."""
    if champion is None:
        return
    reader = reader_of(champion.model)
    for frame in data.conversation_chunks(folder, CHUNK_ROWS, champion.name == FROM_COMMENT):
        if frame.empty:
            continue
        inputs = data.conform(data.conversation_inputs(frame), champion.columns)
        chances, reasons = told(champion.model, inputs, reader)
        columns: dict[str, Any] = {
            "conversation_key": frame["conversation_key"],
            "p_satisfied": decimals(chances[:, 1], PROBABILITY),
            "reasons": reasons,
        }
        yield _table(columns, champion, folder, SATISFACTION_SCHEMA)


def _segments(champion: Champion | None, folder: Path) -> Iterator[pa.Table]:
    """Without a champion the rule alone speaks: those without orders, and all others together."""
    told_apart = champion.metadata["segment_names"] if champion else [segmentation.BUYERS]
    names = np.array([segmentation.CONTACT_ONLY, *told_apart], dtype=object)
    for customers in data.customer_chunks(folder, CHUNK_ROWS):
        ids = np.zeros(len(customers), dtype=np.int64)
        away = np.zeros(len(customers))
        buys = ~segmentation.is_contact_only(customers).to_numpy()
        if champion is None:
            ids[buys] = 1
        elif buys.any():
            ids[buys], away[buys] = segmentation.assign(champion.model, customers[buys])
        columns: dict[str, Any] = {
            "customer_key": customers["customer_key"],
            "segment_id": ids,
            "segment_name": names[ids],
            "distance": decimals(away, DISTANCE),
        }
        yield _table(columns, champion, folder, SEGMENT_SCHEMA)


def _table(
    columns: dict[str, Any], champion: Champion | None, folder: Path, schema: pa.Schema
) -> pa.Table:
    size = len(next(iter(columns.values())))
    if champion is None:
        tail: tuple[str | int | None, ...] = (SEGMENTS, None, RULE, folder.name)
    else:
        tail = (champion.name, champion.version, champion.model_digest, folder.name)
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, schema.field(name).type)
        for name, values in columns.items()
    ]
    arrays += [pa.array([value] * size, kind) for value, (_, kind) in zip(tail, _TAIL, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def decimals(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    """Six decimals, exactly: rounded once here, never again downstream."""
    return pa.array(np.round(values, 6)).cast(kind, safe=False)


def write_tables(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    """Write tables as they come into a Parquet file that is there once it is whole; gives the rows."""
    partial = path.with_suffix(".partial")
    rows = 0
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    partial.replace(path)
    return rows


def _joint_digest(digests: dict[str, str], versions: dict[str, int]) -> str:
    """Names the champions: content, and version as the files carry it."""
    content = [[name, digests.get(name, ""), versions.get(name, 0)] for name in MODELS]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _why_missing(home: Home, name: str) -> str:
    decisions = read_decisions(home, name)
    if not decisions:
        return "it was never trained"
    return f"{decisions[-1].decision}: {decisions[-1].reason}"


def _result(
    target: Path,
    counts: dict[str, int],
    versions: dict[str, int],
    missing: dict[str, str],
    *,
    reused: bool,
) -> ScoreResult:
    return ScoreResult(
        folder=target,
        satisfaction_scores=target / "satisfaction_scores.parquet",
        comment_scores=target / "comment_scores.parquet",
        segment_scores=target / "segment_scores.parquet",
        n_conversations=counts["n_conversations"],
        n_comments=counts["n_comments"],
        n_customers=counts["n_customers"],
        versions=versions,
        missing=missing,
        reused=reused,
    )
