"""The questions of docs/analyst.md on a large company, each beside the best query found by hand.

Both read the same published file, in turns, in one process, and must give the same answer. What counts is
the median of the processor's seconds, which other programs on the machine move less than the clock's. The
queries by hand are in `questions.sql`: whatever was found to be faster than what the page says, at any
length, and where nothing was, the fastest of what was tried.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import Result, company, open_home
from carelake.settings import Home
from carelake.warehouse.published import marts_file, read_only

LIMIT = 1.5
RUNS = 9
PAGE = Path(__file__).parents[1] / "docs" / "analyst.md"
BY_HAND = Path(__file__).with_name("questions.sql")
ASKED = re.compile(
    r"^### (?P<number>\d+)\. (?P<title>[^\n]+)\n.*?^```sql\n(?P<query>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
ANSWERED = re.compile(
    r"^-- (?P<number>\d+): (?P<how>[^\n]+)\n(?P<query>.*?)(?=^-- \d+: |\Z)",
    re.DOTALL | re.MULTILINE,
)
SCORES = """
    insert into ml.satisfaction_scores by name
        select conversation_key, (hash(conversation_key) % 1000000 / 1000000)::decimal(9, 6) as p_satisfied
        from features.features_conversations;
    insert into ml.segment_scores by name
        select
            customer_key,
            (hash(customer_key) % 5)::integer as segment_id,
            (['champions', 'loyal', 'occasional', 'one_time', 'contact_only'])[segment_id + 1] as segment_name,
        from features.features_customers;
    insert into ml.value_scores by name
        select
            customer_key,
            (hash(customer_key, 1) % 1000000 / 1000000)::decimal(9, 6) as p_alive,
            (hash(customer_key, 2) % 10000)::decimal(18, 2) as expected_value_365d,
        from features.features_customers where n_orders > 0;
    insert into ml.sentiment_scores by name
        select
            text_hash,
            (['negative', 'neutral', 'positive'])[(text_hash % 3 + 1)::integer] as sentiment,
            'benchmark' as model_digest,
        from (select distinct text_hash from intermediate.int_communications where text_hash is not null);
"""
"""Scores as models leave them, by chance: how long a question takes does not depend on what they say."""


def measure(scratch: Path, records: int) -> list[Result]:
    """Every question of the page on a company of so many records.

    Raises:
        RuntimeError: a query by hand gives another answer than the page's, or is missing.
    """
    root = scratch / f"home-questions-{records}"
    # building takes far longer than asking: a scratch folder that is kept is asked again
    if not marts_file(Home(root)).exists():
        publish(root, company(scratch, records))
    asked, by_hand = questions(), answers()
    if asked.keys() != by_hand.keys():
        raise RuntimeError(
            f"{BY_HAND.name} and {PAGE.name} differ: {asked.keys() ^ by_hand.keys()}"
        )
    with read_only(Home(root)) as con:
        con.execute("set threads = 2")
        return [_compared(con, number, asked[number], by_hand[number]) for number in asked]


def questions() -> dict[int, tuple[str, str]]:
    """Number -> title and query, as the page has them."""
    text = PAGE.read_text(encoding="utf-8")
    return {int(m["number"]): (m["title"], m["query"]) for m in ASKED.finditer(text)}


def answers() -> dict[int, tuple[str, str]]:
    """Number -> what was done by hand, and the query."""
    text = BY_HAND.read_text(encoding="utf-8")
    return {int(m["number"]): (m["how"], m["query"]) for m in ANSWERED.finditer(text)}


def publish(root: Path, folder: Path) -> None:
    """Build and publish that company, with scores in the place of models."""
    from carelake import pipeline
    from carelake.progress import Progress
    from carelake.sources.extract import extract_source
    from carelake.warehouse.connection import connect
    from carelake.warehouse.setup import initialise

    ctx = open_home(root, folder)
    initialise(ctx)
    for source in ctx.sources.sources:
        extract_source(source, ctx.config_dir, ctx.home.landing)
    quiet = Progress(quiet=True)
    for step in ("load", "check_batches", "build_features"):
        pipeline.perform(ctx, step, quiet)
    with connect(ctx.home) as con:
        con.execute(SCORES)
    for step in ("build_marts", "publish"):
        pipeline.perform(ctx, step, quiet)


def _compared(
    con: duckdb.DuckDBPyConnection, number: int, asked: tuple[str, str], by_hand: tuple[str, str]
) -> Result:
    (title, query), (how, peer) = asked, by_hand
    if rows(con, query) != rows(con, peer):
        raise RuntimeError(f"question {number}: the query by hand gives another answer")
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_seconds(con, query))
        theirs.append(_seconds(con, peer))
    found, beside = statistics.median(ours), statistics.median(theirs)
    return Result(
        f"{number}. {title}",
        round(found, 4),
        round(beside, 4),
        how,
        round(found / beside, 2),
        LIMIT,
    )


def _seconds(con: duckdb.DuckDBPyConnection, query: str) -> float:
    began = time.process_time()
    con.execute(query).fetchall()
    return time.process_time() - began


def rows(con: duckdb.DuckDBPyConnection, query: str) -> Sequence[tuple[Any, ...]]:
    """An answer, whatever the order of rows that are equal in what they are ordered by."""
    return sorted(con.execute(query).fetchall(), key=repr)
