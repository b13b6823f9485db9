"""How much of a model's bare speed scoring keeps, and how much memory it takes.

    python -m benchmarks.scoring --rows 200000 --json -

Champions are trained on made-up conversations as in `benchmarks.training`; then more of them are scored,
each model in processes of its own: `predict_proba` alone on rows that are ready, and all that a daily run
does, from the feature file to the file of scores (reading, chances, reasons in two languages, writing).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from benchmarks.training import write_features
from carelake.settings import Home, Settings, prepare_environment

LEAST = 0.7
"""Of the bare throughput, what scoring has to keep."""
LABELLED, PART = 8_000, 4
"""Conversations to learn from; one in so many rows is scored alone, to see whether memory grows with rows."""
Found = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Train, score, print one JSON object of figures; 1 where a model keeps less than it has to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=200_000, help="conversations to score")
    parser.add_argument("--labelled", type=int, default=LABELLED, help="to learn from")
    parser.add_argument("--json", default="-", metavar="FILE", help="where to; - is the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch), given.rows, given.labelled)
    text = json.dumps(found, ensure_ascii=False)
    if given.json == "-":
        print(text)
    else:
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    return 0 if all(each["share"] >= LEAST for each in found["models"].values()) else 1


def measure(scratch: Path, rows: int, labelled: int) -> Found:
    """Per model rows a second of a core, bare and as scored; what of it moods take; seconds; memory."""
    from ml.results import FROM_COMMENT, SATISFACTION, SENTIMENT

    learned, many, few = (scratch / "features" / name for name in ("f00d", "beef", "cafe"))
    home = scratch / "home"
    _apart(_train, home, learned, labelled)
    _apart(_write, many, rows, 2)
    _apart(_write, few, rows // PART, 3)
    models = {}
    for name in (SATISFACTION, FROM_COMMENT, SENTIMENT):
        bare, ours = _apart(_bare, home, many, name), _apart(_scored, home, many, name)
        part = _apart(_scored, home, few, name)
        models[name] = {
            "chosen": bare["chosen"],
            "rows": ours["rows"],
            "bare_rows_per_second": round(bare["rows"] / bare["cpu"]),
            "rows_per_second": round(ours["rows"] / ours["cpu"]),
            "seconds": round(ours["wall"], 1),
            "share": round(bare["cpu"] / ours["cpu"], 3),
            "moods_share": round(ours["moods"] / ours["cpu"], 3),
            "peak_mb": ours["peak_mb"],
            f"peak_mb_of_{part['rows']}": part["peak_mb"],
        }
        print(f"{name}: {models[name]}", file=sys.stderr, flush=True)
    return {"rows": rows, "labelled": labelled, "models": models}


def _apart(what: Callable[..., Any], *given: Any) -> Any:
    """In a process of its own: nothing is known from before, and its peak of memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(what, *given).result()


def _write(folder: Path, rows: int, seed: int) -> None:
    write_features(folder, rows, seed)
    texts = pd.read_parquet(folder / "conversations.parquet", columns=["text"])
    said = texts.drop_duplicates(ignore_index=True)
    said.insert(0, "text_hash", said.index.astype("uint64"))
    said.to_parquet(folder / "texts.parquet", index=False)


def _train(root: Path, folder: Path, rows: int) -> None:
    import ml

    write_features(folder, rows)
    home = Home(root)
    prepare_environment(home)
    ml.train(home, Settings(), folder, report=lambda line: print(line, file=sys.stderr, flush=True))


def _champion(root: Path, name: str) -> Any:
    from ml.registry import Registry

    home = Home(root)
    prepare_environment(home)
    registry = Registry(home)
    found = registry.champion(name)
    if found is None:
        raise SystemExit(f"{name} has no champion: too few rows to learn from")
    return registry.load(found)


def _forget() -> None:
    """The first rows load libraries and dictionaries; what they said is not to help the others."""
    from ml import moods, reasons

    moods._known.clear()
    reasons._begun.cache_clear()


def _bare(root: Path, folder: Path, name: str) -> Found:
    """`predict_proba` and nothing else, of rows in the model's columns, as many at once as scoring takes."""
    import pyarrow.parquet as pq
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    from ml import features as data
    from ml.results import FROM_COMMENT, SENTIMENT
    from ml.scoring import CHUNK_ROWS

    champion = _champion(root, name)
    rows, cpu = 0, 0.0
    if name == SENTIMENT:
        texts = pq.ParquetFile(folder / "texts.parquet")
        chunks = (
            data.text_inputs(each["text"].to_pandas().astype("str"))
            for each in texts.iter_batches(batch_size=CHUNK_ROWS)
        )
    else:
        frames = data.conversation_chunks(folder, CHUNK_ROWS, name == FROM_COMMENT)
        chunks = (data.conversation_inputs(each) for each in frames)
    with threadpool_limits(limits=1):
        for place, chunk in enumerate(chunks):
            inputs = data.conform(chunk, champion.columns)
            if place == 0:
                champion.model.predict_proba(inputs)  # what is loaded with the first rows
                _forget()
            busy = time.process_time()
            champion.model.predict_proba(inputs)
            cpu += time.process_time() - busy
            rows += len(inputs)
    chosen = champion.model.model
    kind = type(chosen[-1] if isinstance(chosen, Pipeline) else chosen).__name__
    return {"rows": rows, "cpu": cpu, "chosen": kind}


def _scored(root: Path, folder: Path, name: str) -> Found:
    """All that a run does for this model but for opening it, and how much of that moods take."""
    from threadpoolctl import threadpool_limits

    from ml import sentiment
    from ml.moods import Moods
    from ml.results import SENTIMENT
    from ml.scoring import SATISFACTION_SCHEMA, satisfaction_tables, write_tables

    champion, moods = _champion(root, name), 0.0
    plain = Moods.transform

    def clocked(self: Moods, texts: Any) -> Any:
        nonlocal moods
        busy = time.process_time()
        try:
            return plain(self, texts)
        finally:
            moods += time.process_time() - busy

    Moods.transform = clocked  # type: ignore[method-assign]

    def tables() -> Iterator[pa.Table]:
        if name == SENTIMENT:
            return sentiment.sentiment_tables(champion, folder / "texts.parquet")
        return satisfaction_tables(champion, folder)

    schema = sentiment.SCHEMA if name == SENTIMENT else SATISFACTION_SCHEMA
    with threadpool_limits(limits=1):
        next(tables())
        _forget()
        moods, began, busy = 0.0, time.perf_counter(), time.process_time()
        rows = write_tables(folder / f"{name}.parquet", schema, tables())
        wall, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "wall": wall, "cpu": cpu, "moods": moods, "peak_mb": round(peak)}


if __name__ == "__main__":
    sys.exit(main())
