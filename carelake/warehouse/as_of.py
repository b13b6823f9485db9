"""Features as they were known at a moment in the past, as files for a notebook."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from carelake.errors import ConfigError, RunFailed
from carelake.settings import Context, Home
from carelake.warehouse.connection import connect, literal, write_lock

SETTINGS_TABLE = "int_as_of"


@dataclass(frozen=True)
class Exported:
    """What was written, and as of when (UTC)."""

    folder: Path
    as_of: dt.datetime
    n_conversations: int
    n_labelled: int
    n_customers: int


def export_as_of(ctx: Context, moment: str, folder: Path) -> Exported:
    """Write the feature files as of a moment, from what was built last.

    Conversations that had closed by then, with the labels and comments that were known; customers that
    had been seen, counted up to then; texts whose sentiment was told by then. A conversation's own columns
    are as of its close in any case.

    Args:
        moment: ISO date (its end, in the reporting zone) or time (UTC without an offset).
        folder: to write into; it must not hold anything yet.

    Raises:
        ConfigError: the moment is none, or later than the newest data; or the folder is not empty.
        RunFailed: there are no features yet.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: is not empty; name a new folder")
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with (
            write_lock(ctx.home, "export features"),
            connect(ctx.home, **ctx.settings.duckdb) as con,
        ):
            as_of = _settle(con, moment)
            _write_conversations(con, draft / "conversations.parquet")
            _write_customers(con, ctx.home, draft / "customers.parquet")
            _write_sentiment(con, draft / "sentiment.parquet")
            counts = con.execute(
                "select (select count(*) from read_parquet($c)), "
                "(select count(label_satisfied) from read_parquet($c)), "
                "(select count(*) from read_parquet($p))",
                {"c": str(draft / "conversations.parquet"), "p": str(draft / "customers.parquet")},
            ).fetchone()
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    assert counts is not None
    return Exported(folder, as_of, *counts)


def _settle(con: duckdb.DuckDBPyConnection, moment: str) -> dt.datetime:
    """Make `as_of`, a table like the build's with the moment asked for."""
    try:
        dt.datetime.fromisoformat(moment)
    except ValueError as error:
        raise ConfigError(
            f"--as-of: '{moment}' is no ISO date or time; write 2024-05-01 or 2024-05-01T12:00Z"
        ) from error
    is_day = len(moment) == 10
    when = (
        f"({literal(moment)}::timestamp + interval 1 day) at time zone reporting_timezone"
        if is_day
        else f"{literal(moment)}::timestamptz"
    )
    try:
        con.execute(
            f"""
            create temp table as_of as
            with moments as (from intermediate.{SETTINGS_TABLE} select *, {when} as asked)
            select
                * exclude (asked)
                replace (
                    asked as as_of,
                    ((asked - interval 1 microsecond) at time zone reporting_timezone)::date as last_day
                ),
                as_of as newest,
            from moments
            """
        )
        row = con.execute("select as_of, newest from as_of").fetchone()
    except duckdb.CatalogException as error:
        raise RunFailed("there are no features yet; run `carelake build` first") from error
    if row is None:
        raise RunFailed("there are no features yet; run `carelake build` first")
    asked, newest = row
    if asked > newest:
        raise ConfigError(
            f"--as-of: the data end at {newest.isoformat()}; take that or an earlier time"
        )
    con.execute("alter table as_of drop column newest")
    return asked  # type: ignore[no-any-return]


def _write_conversations(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """What was said after the moment is left out with its time: a label, and what came with it."""
    con.execute(
        f"""
        copy (
            select
                conversations.* replace (
                    if(label_at <= as_of, label_satisfied, null) as label_satisfied,
                    if(label_at <= as_of, label_at, null) as label_at,
                    if(label_at <= as_of, comment, null) as comment
                ),
            from features.features_conversations as conversations
            cross join (select as_of from as_of)
            where occurred_at <= as_of
            order by conversation_key
        ) to {literal(str(path))} (format parquet)
        """
    )


def _write_sentiment(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    con.execute(
        f"""
        copy (
            from features.features_sentiment
            where told_at is null or told_at <= (select as_of from as_of)
            order by sentiment_key
        ) to {literal(str(path))} (format parquet)
        """
    )


def _write_customers(con: duckdb.DuckDBPyConnection, home: Home, path: Path) -> None:
    """The build's own query, asked with another moment."""
    query = _compiled(home, "features_customers")
    for name in (
        f'"warehouse"."intermediate"."{SETTINGS_TABLE}"',
        f"intermediate.{SETTINGS_TABLE}",
    ):
        query = query.replace(name, "temp.as_of")
    con.execute(
        f"""
        copy (
            select features.*
            from ({query}) as features
            inner join intermediate.int_customers as seen using (customer_key)
            where seen.first_seen_at <= (select as_of from temp.as_of) or seen.first_seen_at is null
            order by customer_key
        ) to {literal(str(path))} (format parquet)
        """
    )


def _compiled(home: Home, model: str) -> str:
    found = sorted(
        (home.dbt / "target" / "compiled").glob(f"*/models/features/{model}.sql"),
        key=lambda path: path.stat().st_mtime,
    )
    if not found:
        raise RunFailed("the last build's queries are gone; run `carelake build features` first")
    return found[-1].read_text(encoding="utf-8")
