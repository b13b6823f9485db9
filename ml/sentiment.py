"""How customers' messages sound: the champion of `sentiment` on texts that have no score of it yet.

The warehouse hands over each distinct text once; what was scored by the same model is not scored again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from carelake.settings import Home
from ml import features as data
from ml.evaluation import Array, answer
from ml.reasons import Reader, chances_of, linear_part, strongest_words
from ml.registry import Champion, Registry
from ml.results import SENTIMENT, SENTIMENTS
from ml.scoring import CHUNK_ROWS, PROBABILITY, decimals
from ml.tasks import spread_out

SCHEMA = pa.schema(
    [
        ("text_hash", pa.uint64()),
        ("sentiment", pa.string()),
        *((f"p_{name}", PROBABILITY) for name in SENTIMENTS),
        ("words", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.int32()),
        ("model_digest", pa.string()),
    ]
)


def score_texts(home: Home, texts: Path, target: Path) -> int:
    """Score a Parquet file of `text_hash` and `text` into one of `ml.sentiment_scores`; gives its rows.

    Raises:
        RunFailed: there is no champion, or its files are not those registered.
    """
    registry = Registry(home)
    found = registry.champion(SENTIMENT)
    rows = 0
    with (
        threadpool_limits(limits=1),
        pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer,
    ):
        for table in sentiment_tables(registry.load(found), texts) if found else ():
            writer.write_table(table)
            rows += table.num_rows
    return rows


def sentiment_tables(champion: Champion, texts: Path) -> Iterator[pa.Table]:
    """Scores of the texts of a Parquet file, chunk by chunk."""
    reader = _reader(champion.model)
    with pq.ParquetFile(texts) as file:
        for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=["text_hash", "text"]):
            said: pd.Series[Any] = batch["text"].to_pandas().astype("str")
            chances, words = told(champion, said, reader)
            answers = np.array(champion.classes, dtype=object)[
                answer(chances, champion.model.weights)
            ]
            wide = spread_out(chances, champion.classes, SENTIMENTS)
            columns: list[pa.Array] = [
                batch["text_hash"],
                pa.array(answers, pa.string()),
                *(decimals(wide[:, place], PROBABILITY) for place in range(len(SENTIMENTS))),
                pa.array([json.dumps(each, ensure_ascii=False) for each in words], pa.string()),
            ]
            tail = (champion.name, champion.version, champion.model_digest)
            columns += [
                pa.array([value] * len(said), field.type)
                for value, field in zip(tail, list(SCHEMA)[-len(tail) :], strict=True)
            ]
            yield pa.Table.from_arrays(columns, schema=SCHEMA)


def told(
    champion: Champion, texts: pd.Series[Any], reader: Reader | None
) -> tuple[Array, list[list[str]]]:
    """Chances (rows x the champion's classes), and the words that speak most for each answer."""
    model = champion.model
    inputs = data.conform(data.text_inputs(texts), champion.columns)
    if reader is None:
        return model.predict_proba(inputs), [[] for _ in texts]
    # the terms of a text are counted once, for chances and words alike
    matrix = reader.matrix(inputs)
    chances = chances_of(model, inputs, reader.pipeline, matrix)
    return chances, strongest_words(reader, matrix, answer(chances, model.weights))


def _reader(model: Any) -> Reader | None:
    pipeline = linear_part(model)
    return None if pipeline is None else Reader.of(pipeline)
