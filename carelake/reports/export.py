"""The published marts as files to hand on: one Tableau extract, or Parquet."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from carelake.errors import ConfigError, RunFailed
from carelake.settings import Home
from carelake.warehouse.connection import first_line, ident, literal
from carelake.warehouse.published import marts_file, open_marts
from carelake.warehouse.replicas import audit
from carelake.warehouse.replicas.audit import Phrases
from carelake.warehouse.replicas.columns import Column, Dialect, Kind, sent
from carelake.warehouse.replicas.marts import Mart, own_tables, publication_of, published_marts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from tableauhyperapi import Connection

SCHEMA = "marts"
HYPER = Dialect(
    types={
        Kind.decimal: "numeric{}",
        Kind.float: "double precision",
        Kind.flag: "boolean",
        # Tableau has no JSON, and no times with a zone: they are text, and UTC
        Kind.text: "text",
        Kind.json: "text",
        Kind.nested: "text",
        Kind.moment: "timestamp",
        Kind.local: "timestamp",
        Kind.day: "date",
        Kind.clock: "time",
        Kind.bytes: "bytes",
    },
    integers={
        "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
        "UTINYINT": "smallint", "USMALLINT": "integer", "UINTEGER": "bigint",
        "UBIGINT": "numeric(20,0)", "HUGEINT": "numeric(38,0)", "UHUGEINT": "numeric(38,0)",
    },
    longest=127,
    in_bytes=True,
    mark='"',
)  # fmt: skip
PHRASES = Phrases(
    microseconds="cast(extract(epoch from {}) * 1000000 as numeric(38,0))",
    days="({} - date '1970-01-01')",
    digest=None,
)


def export_hyper(home: Home, target: Path) -> dict[str, int]:
    """Write every published mart into one `.hyper` file; gives rows per mart.

    Rows travel as Parquet, which Hyper reads by itself. The file takes its name when it is complete and
    its counts and sums are those of the marts.

    Raises:
        ConfigError: Tableau's package is missing, or the file's name or folder is wrong.
        RunFailed: nothing is published, or what was written differs.
    """
    if target.suffix != ".hyper":
        raise ConfigError(f"{target}: a Tableau file ends in .hyper; name it so")
    folder = _folder(target)
    with (
        _published(home) as (con, marts),
        tempfile.TemporaryDirectory(prefix=".carelake-", dir=folder) as scratch,
        _hyper(Path(scratch) / "draft.hyper") as connection,
    ):
        connection.execute_command(f"create schema {ident(SCHEMA)}")
        for mart in marts:
            _copy(con, connection, mart, Path(scratch) / "rows.parquet")
        rows = {mart.name: _audit(con, connection, mart) for mart in marts}
        connection.close()
        (Path(scratch) / "draft.hyper").replace(target)
    return rows


def export_parquet(home: Home, target: Path) -> dict[str, int]:
    """Copy the published Parquet files of every mart into a new folder; gives rows per mart.

    Raises:
        ConfigError: the folder is there already.
        RunFailed: nothing is published.
    """
    if target.exists():
        raise ConfigError(f"{target}: is there already; name a folder that is not")
    folder = _folder(target)
    with _published(home) as (con, marts):
        source = marts_file(home).resolve().parent
        rows = {}
        with tempfile.TemporaryDirectory(prefix=".carelake-", dir=folder) as scratch:
            draft = Path(scratch) / "marts"
            draft.mkdir()
            for mart in marts:
                rows[mart.name] = _count(con, mart)
                name = f"{mart.name}.parquet"
                if (source / name).exists():
                    copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
                    copy(source / name, draft / name)
                else:
                    con.execute(f"copy {mart.relation} to {literal(str(draft / name))}")
            draft.rename(target)
    return rows


@contextmanager
def _published(home: Home) -> Iterator[tuple[DuckDBPyConnection, list[Mart]]]:
    """The opened publication, its marts, and the one row that says which version it is."""
    path = marts_file(home)
    if not path.exists():
        raise RunFailed(f"{path}: nothing is published yet; run `carelake run`")
    said = publication_of(path.resolve().parent)
    with open_marts(path.resolve()) as con:
        marts = published_marts(con, said, HYPER)
        yield con, [*marts, own_tables(con, said, marts, HYPER)[0]]


def _folder(target: Path) -> Path:
    folder = target.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder}: is no folder that can be written; make it first")
    return folder


@contextmanager
def _hyper(path: Path) -> Iterator[Connection]:
    """A new file in a Hyper process of our own, which tells nobody of it."""
    try:
        from tableauhyperapi import Connection, CreateMode, HyperException, HyperProcess, Telemetry
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Tableau's files need the package tableauhyperapi; install the extra `tableau`"
        ) from error
    try:
        with (
            # without a log: it would lie in the working directory
            HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
            ) as process,
            Connection(process.endpoint, path, CreateMode.CREATE_AND_REPLACE) as connection,
        ):
            yield connection
    except HyperException as error:
        raise RunFailed(f"{path.name}: Hyper failed ({first_line(error)})") from error


def _copy(con: DuckDBPyConnection, connection: Connection, mart: Mart, path: Path) -> None:
    values = ", ".join(f"{_written(c)} as {ident(c.target)}" for c in mart.columns)
    con.execute(f"copy (select {values} from {mart.relation}) to {literal(str(path))}")
    columns = ", ".join(f"{ident(column.target)} {column.target_type}" for column in mart.columns)
    connection.execute_command(f"create table {_table(mart)} ({columns})")
    names = ", ".join(ident(column.target) for column in mart.columns)
    connection.execute_command(
        f"insert into {_table(mart)} ({names}) select {names} from external({literal(str(path))})"
    )
    path.unlink()


def _audit(con: DuckDBPyConnection, connection: Connection, mart: Mart) -> int:
    """Insist on counts and sums of a written mart; gives its rows."""
    made = audit.checks(mart.columns, PHRASES, ident)
    figures = [check.ours for check in made] + [check.slack for check in made]
    ours = con.execute(audit.query(figures, mart.relation)).fetchall()[0]
    theirs = connection.execute_list_query(
        audit.query([check.theirs for check in made], _table(mart))
    )[0]
    audit.compare(mart.name, made, ours[: len(made)], ours[len(made) :], theirs)
    return int(ours[0])


def _table(mart: Mart) -> str:
    return f"{ident(SCHEMA)}.{ident(mart.target)}"


def _written(column: Column) -> str:
    value = sent(column)
    return f"({value} at time zone 'UTC')" if column.kind is Kind.moment else value


def _count(con: DuckDBPyConnection, mart: Mart) -> int:
    row = con.execute(f"select count(*) from {mart.relation}").fetchone()
    return int(row[0]) if row else 0
