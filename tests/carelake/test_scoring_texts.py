"""Two runs that score texts at once: each text once, and no file of one under the hands of the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from carelake.progress import Progress
from carelake.settings import Context, Home
from carelake.steps.building import _score_texts
from carelake.warehouse.setup import initialise
from ml import api

CHAMPION = (1, "aaa")


def scored_slowly(_: Home, texts: Path, scores: Path, report: Callable[[str], None]) -> int:
    """What a model would write, in time enough for another run to come in between."""
    time.sleep(0.2)
    duckdb.execute(
        f"""
        copy (
            select text_hash, 'neutral' as sentiment, 0.5 as p_negative, '[]' as words, 'sentiment' as model_name,
                1 as model_version, 'aaa' as model_digest
            from read_parquet('{texts}')
        ) to '{scores}' (format parquet)
        """
    )
    time.sleep(0.2)
    return int(duckdb.execute(f"select count(*) from read_parquet('{scores}')").fetchone()[0])  # type: ignore[index]


def test_two_runs_at_once_score_each_text_once(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context("sources: []")
    if not ctx.home.is_initialised():
        initialise(ctx)
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("create schema if not exists intermediate")
        con.execute(
            "create table intermediate.int_communications as "
            "select i::ubigint as text_hash, 'text ' || i as text_masked, null::varchar as subject_masked "
            "from range(5) as t(i)"
        )
    monkeypatch.setattr(api, "sentiment_champion", lambda _: CHAMPION)
    monkeypatch.setattr(api, "score_texts", scored_slowly)
    both = threading.Barrier(2)

    def run(_: int) -> int:
        both.wait()
        return _score_texts(ctx, Progress(quiet=True))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [0, 5]
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        assert con.execute("select count(*) from ml.sentiment_scores").fetchone() == (5,)
    assert not list(ctx.home.scores.glob("*.part"))
