"""A home made by an earlier Carelake is brought up to this one when it is opened for writing.

A home carries a number in `ops.state`. One without was made by 0.1.0, which is number 0. Migrations
go forward only, all that are missing in one transaction: killed in the middle, the home is the old
one.

To add one: write a function that changes the tables of `carelake.warehouse.schema` as they were
into what they are now, and put it last in `MIGRATIONS`. It must not fail when what it makes is
there already. What is only new in `RECORDED` needs no statement, but a function that does nothing:
after the last one, what is missing is made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from duckdb import DuckDBPyConnection

from carelake.errors import ConfigError
from carelake.warehouse.schema import create_recorded_tables

KEY = "schema_version"


def _expired_rows(con: DuckDBPyConnection) -> None:
    """1: the ledger counts the rows that retention removed."""
    con.execute("drop view if exists ops.new_batches")  # it has the ledger's columns; made anew
    con.execute("alter table ops.ledger add column if not exists n_expired bigint default 0")


def _readings(con: DuckDBPyConnection) -> None:
    """2: the ledger says how a batch was read, and failed extracts are kept."""
    con.execute("drop view if exists ops.new_batches")
    for column in (
        "since timestamptz", "until timestamptz", "n_pages bigint", "n_requests bigint",
        "extract_seconds decimal(18, 3)",
    ):  # fmt: skip
        con.execute(f"alter table ops.ledger add column if not exists {column}")


def _parts_of_mails(con: DuckDBPyConnection) -> None:
    """3: a mail's new text, quoted text and signature are apart, and its kind is known.

    What is there keeps its whole text until its batch is replayed.
    """
    for column in ("quoted_text", "signature_text", "mail_kind", "list_id"):
        con.execute(f"alter table raw.email_messages add column if not exists {column} varchar")


def _who_decided(con: DuckDBPyConnection) -> None:
    """4: a decision on a model says who took it, and what the model's content was."""
    for column in ("decided_by", "model_digest"):
        con.execute(f"alter table ml.model_decisions add column if not exists {column} varchar")
    con.execute("update ml.model_decisions set decided_by = 'gate' where decided_by is null")


def _value_scores(con: DuckDBPyConnection) -> None:
    """5: what each customer will still buy has a table, which is only new."""


def _needs(con: DuckDBPyConnection) -> None:
    """6: what customers come for has two tables, which are only new."""


def _model_health(con: DuckDBPyConnection) -> None:
    """7: how champions do on newer rows is kept; the table is made with the others."""


def _who_is_who(con: DuckDBPyConnection) -> None:
    """8: sources say whose ids their customer ids are; decisions on identity have a table, only new."""
    con.execute("alter table ops.sources add column if not exists id_namespace varchar")


def _merged_customers(con: DuckDBPyConnection) -> None:
    """9: customers name the one they were merged into, messages whether a machine wrote them.

    Sources name the system whose block they belong to.
    """
    con.execute("alter table raw.customers add column if not exists merged_into varchar")
    con.execute("alter table raw.communications add column if not exists is_automatic varchar")
    con.execute("alter table ops.sources add column if not exists system varchar")


def _sentiment(con: DuckDBPyConnection) -> None:
    """10: a source may say how a message sounds, and what the model says of it has a table."""
    con.execute("alter table raw.communications add column if not exists sentiment varchar")


def _segment_changes(con: DuckDBPyConnection) -> None:
    """11: who changed segment, and as of when, has a table, which is only new."""


MIGRATIONS: tuple[Callable[[DuckDBPyConnection], None], ...] = (
    _expired_rows,
    _readings,
    _parts_of_mails,
    _who_decided,
    _value_scores,
    _needs,
    _model_health,
    _who_is_who,
    _merged_customers,
    _sentiment,
    _segment_changes,
)
"""The first brings a home from number 0 to number 1, and so on."""
CURRENT = len(MIGRATIONS)
"""The number of the homes this Carelake makes."""


def schema_version(con: DuckDBPyConnection) -> int | None:
    """A home's number; None before `init` has made its tables."""
    row = con.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() "
        "and schema_name = 'ops' and table_name in ('ledger', 'state')"
    ).fetchone()
    if row is None or row[0] < 2:
        return None
    found = con.execute(f"select value from ops.state where key = '{KEY}'").fetchone()
    return 0 if found is None else int(found[0])


def refuse_newer(version: int, where: Path) -> None:
    """Stop before a home, or a backup of one, that only a newer Carelake understands.

    Raises:
        ConfigError: it is newer.
    """
    if version > CURRENT:
        raise ConfigError(
            f"{where}: was written by a newer Carelake (schema {version}, this one knows {CURRENT}); "
            "use that one, or restore a backup made before the upgrade"
        )


def migrate(con: DuckDBPyConnection, where: Path) -> int | None:
    """Bring an opened home up to this Carelake; call under the write lock.

    Returns:
        The number it had, None when it has no tables yet.

    Raises:
        ConfigError: a newer Carelake wrote it.
    """
    version = schema_version(con)
    if version is None:
        return None
    refuse_newer(version, where)
    if version == CURRENT:
        return version
    con.execute("begin")
    try:
        for step in MIGRATIONS[version:]:
            step(con)
        create_recorded_tables(con)
        _note(con, CURRENT)
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    return version


def stamp(con: DuckDBPyConnection) -> None:
    """Give a home whose tables were just made its number."""
    _note(con, CURRENT)


def _note(con: DuckDBPyConnection, version: int) -> None:
    con.execute(f"insert or replace into ops.state values ('{KEY}', '{version}')")
