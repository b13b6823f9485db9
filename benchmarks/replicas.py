"""`python -m benchmarks.replicas`: marts into databases, beside a bare COPY of the same table.

The databases are those of `replicas` in carelake.yml, the marts those of CARELAKE_HOME. Everything is written
into the schemas `benchmark_marts` and `benchmark_marts_staging`, which are dropped at the end.

    python -m benchmarks.replicas --rows 1500000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import Result, against, alone
from carelake.pipeline import open_context
from carelake.progress import Progress
from carelake.setting_groups.replicas import Replica
from carelake.settings import Home
from carelake.warehouse.connection import literal
from carelake.warehouse.parquet import write_parquet
from carelake.warehouse.published import marts_file
from carelake.warehouse.replicas.columns import Kind, sent
from carelake.warehouse.replicas.database import Database
from carelake.warehouse.replicas.marts import publication_of, published_marts
from carelake.warehouse.replicas.replicate import Replicated, connected, replicate

SCHEMA = "benchmark_marts"
MART = "fct_communications"


def main() -> None:
    """Measure every replica that is set."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replicas", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=1_500_000, help="rows of the large mart")
    rows = parser.parse_args().rows
    ctx = open_context()
    with tempfile.TemporaryDirectory() as name:
        large = Home(Path(name))
        publish_large(marts_file(ctx.home), large, rows, 1)
        for replica in ctx.settings.replicas:
            chosen = replica.model_copy(update={"schema_name": SCHEMA, "reader": None})
            for result in measure(chosen, ctx.home, large, rows):
                print(f"{replica.label}: {result.line()}", flush=True)


def publish_large(source: Path, home: Home, rows: int, version: int) -> None:
    """Write a publication of one mart: the communications of another, repeated under other keys.

    From version 2 on, one month's communications are new.
    """
    folder = home.published / "versions" / f"{version:06d}"
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute(
            f"set TimeZone = 'UTC'; attach {literal(str(source))} as given (read_only); "
            f"attach {literal(str(folder / 'marts.duckdb'))} as out; create schema out.marts; "
            "create schema out.meta; create table out.meta.publication as select null as banner; "
            f"create table out.marts.{MART} as "
            f"select c.* replace (c.communication_key || n as communication_key, "
            "case when date_trunc('month', c.sent_at) = (select min(date_trunc('month', sent_at)) "
            f"from given.marts.{MART}) then {version} else duration_seconds end as duration_seconds) "
            f"from given.marts.{MART} as c, range(1 + {rows} // "
            f"(select count(*) from given.marts.{MART})) as r (n) limit {rows}"
        )
        parts = write_parquet(con, MART, folder, None, {}, 0)
    said = {
        "version": version,
        "published_at": "2024-05-01",
        "as_of": None,
        "parquet": {MART: parts},
    }
    (folder / "publication.json").write_text(json.dumps(said))
    link = home.published / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)


def measure(replica: Replica, sample: Home, large: Home, rows: int) -> list[Result]:
    """The home's marts, then the large one: bare, whole, one month changed, nothing changed."""
    version = publication_of(large.published / "current")["version"]
    with connected(replica) as database:
        _drop(database)
        n_rows, seconds = _timed(replica, sample)
        found = [alone(f"all marts of the home, {n_rows.rows:,} rows", seconds, "seconds")]
        _drop(database)
        bare = bare_copy(database, marts_file(large))
        sent_rows, seconds = _timed(replica, large)
        assert sent_rows.rows == rows
        name = f"{rows:,} communications, audited and swapped"
        found.append(against(name, seconds, bare, "DuckDB to CSV, then the server's own bulk load"))
        publish_large(marts_file(sample), large, rows, version + 1)
        again, seconds = _timed(replica, large)
        found.append(
            against(
                f"the same, one month changed: {again.rows:,} rows travel",
                seconds,
                bare,
                "as before",
            )
        )
        _, seconds = _timed(replica, large)
        found.append(alone("the same, nothing changed", seconds, "seconds"))
        _drop(database)
    return found


def _timed(replica: Replica, home: Home) -> tuple[Replicated, float]:
    began = time.monotonic()
    result = replicate(replica, home, Progress(quiet=True))
    return result, time.monotonic() - began


def bare_copy(database: Database, marts: Path) -> float:
    """Seconds of what one would type: export to CSV, COPY or LOAD DATA; nothing looked at after."""
    with tempfile.TemporaryDirectory() as name, duckdb.connect() as con:
        con.execute(f"set TimeZone = 'UTC'; attach {literal(str(marts))} as published (read_only)")
        said = publication_of(marts.resolve().parent)
        mart = published_marts(con, said, database.dialect)[0]
        database.make_schemas()
        database.create(mart)
        is_mysql = database.replica.kind == "mysql"
        values = ", ".join(
            f"{sent(c)} at time zone 'UTC'" if is_mysql and c.kind is Kind.moment
            else f"{sent(c)}::tinyint" if is_mysql and c.kind is Kind.flag else sent(c)
            for c in mart.columns
        )  # fmt: skip
        path = Path(name) / "rows.csv"
        table = database.staged(mart.target)
        began = time.monotonic()
        con.execute(
            f"copy (select {values} from {mart.relation}) to {literal(str(path))} "
            "(format csv, header false, nullstr 'NULL')"
        )
        if is_mysql:
            database.rows(
                f"load data local infile {literal(str(path))} into table {table} character set utf8mb4 "
                "fields terminated by ',' optionally enclosed by '\"' escaped by ''"
            )
        else:
            _copy_from(database, table, path)
        seconds = time.monotonic() - began
        database.rows(f"drop table {table}")
    return seconds


def _copy_from(database: Any, table: str, path: Path) -> None:
    statement = f"copy {table} from stdin (format csv, null 'NULL')"
    with database.session.cursor().copy(statement) as copy, path.open("rb") as file:
        while chunk := file.read(1 << 20):
            copy.write(chunk)


def _drop(database: Database) -> None:
    kind = "database" if database.replica.kind == "mysql" else "schema"
    end = "" if kind == "database" else " cascade"
    for schema in (database.schema, database.staging):
        database.rows(f"drop {kind} if exists {schema}{end}")


if __name__ == "__main__":
    main()
