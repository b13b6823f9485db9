"""Only texts without a score of the champion are handed out, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from carelake.warehouse import sentiment
from carelake.warehouse.schema import create_recorded_tables

MESSAGES = [
    (1, "thank you", None), (1, "thank you", None), (2, None, "退款"), (3, "still waiting", "Re: order"),
    (None, "our answer", None),
]  # fmt: skip


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        create_recorded_tables(con)
        con.execute("create schema intermediate")
        con.execute(
            "create table intermediate.int_communications "
            "(text_hash ubigint, text_masked varchar, subject_masked varchar)"
        )
        con.executemany("insert into intermediate.int_communications values (?, ?, ?)", MESSAGES)
        yield con


def unscored(con: duckdb.DuckDBPyConnection, folder: Path) -> list[tuple[int, str]]:
    path = folder / "texts.parquet"
    count = sentiment.write_unscored(con, path)
    rows = con.execute(f"from '{path}'").fetchall()
    assert count == len(rows)
    return rows


def score(con: duckdb.DuckDBPyConnection, folder: Path, digest: str, version: int = 1) -> None:
    """What a model would write about the texts that were handed out."""
    con.execute(
        f"""
        copy (
            select text_hash, 'negative' as sentiment, 0.5 as p_negative, '["x"]' as words, 'sentiment' as model_name,
                {version} as model_version, '{digest}' as model_digest
            from '{folder / "texts.parquet"}'
        ) to '{folder / "scores.parquet"}'
        """
    )
    sentiment.record(con, folder / "scores.parquet")


def test_each_text_is_scored_once_until_the_champion_changes(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first = [(1, "thank you"), (2, "退款"), (3, "still waiting")]
    assert unscored(con, tmp_path) == first
    score(con, tmp_path, "aaa")
    score(con, tmp_path, "aaa")  # a run that was cut, and is made again
    assert con.execute("select count(*) from ml.sentiment_scores").fetchone() == (3,)
    assert unscored(con, tmp_path) == []
    con.execute("insert into intermediate.int_communications values (4, 'new', null)")
    assert unscored(con, tmp_path) == [(4, "new")]
    sentiment.forget(con, (2, "aaa"))  # the same content under another number
    assert unscored(con, tmp_path) == [(4, "new")]
    assert con.execute("select distinct model_version from ml.sentiment_scores").fetchall() == [
        (2,)
    ]
    sentiment.forget(con, (3, "bbb"))
    assert unscored(con, tmp_path) == [*first, (4, "new")]


def test_the_score_of_a_text_goes_with_its_last_message(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    unscored(con, tmp_path)
    score(con, tmp_path, "aaa")
    con.execute("delete from intermediate.int_communications where text_hash = 3")
    sentiment.forget(con, (1, "aaa"))
    assert con.execute("select text_hash from ml.sentiment_scores order by 1").fetchall() == [
        (1,),
        (2,),
    ]
    sentiment.forget(con, None)
    assert con.execute("select count(*) from ml.sentiment_scores").fetchone() == (0,)


def test_parts_of_a_bounded_size_are_handed_out(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentiment, "PART", 2)
    assert len(unscored(con, tmp_path)) == 2
    score(con, tmp_path, "aaa")
    assert unscored(con, tmp_path) == [(3, "still waiting")]
