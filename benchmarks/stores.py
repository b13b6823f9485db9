"""Extract from a database beside a bare copy of the same table by DuckDB's scanner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, against, alone, side
from tests import database_servers
from tests.database_servers import PASSWORD, Server

SERVERS = {"postgres": database_servers.postgresql, "mysql": database_servers.mariadb}
NAMES = {"postgres": "PostgreSQL", "mysql": "MariaDB"}
TEXT = "退款太慢了 the refund for order has not come yet, please look after it "
MEMORY_LIMIT_GB = 2.0


def measure(scratch: Path, rows: int) -> list[Result]:
    """A table of tickets, whole, from each server into the landing zone, sealed."""
    found = []
    for kind, opened in SERVERS.items():
        with opened() as server:
            database = _fill(server, rows)
            os.environ["AIRFLOW_CONN_BENCH"] = _connection(kind, server, database)
            bare = side("bare_scan", scratch, kind)
            ours = side("extract_table", scratch, kind)
        assert ours["rows"] == bare["rows"] == rows
        name = f"{NAMES[kind]}, {rows:,} tickets into the landing zone"
        peer = "DuckDB: copy (from the table) to Parquet"
        found.append(against(name, ours["seconds"], bare["seconds"], peer))
        found.append(alone(f"{NAMES[kind]}, peak memory", ours["peak_gb"], "GB", MEMORY_LIMIT_GB))
    return found


def _connection(kind: str, server: Server, database: str) -> str:
    import json

    return json.dumps(
        {"conn_type": kind, "host": "127.0.0.1", "port": server.port, "login": server.user,
         "password": PASSWORD, "schema": database}
    )  # fmt: skip


def _fill(server: Server, rows: int) -> str:
    if server.kind == "postgresql":
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=server.port, user=server.user, password=PASSWORD,
            dbname="postgres", autocommit=True,
        ) as postgres:  # fmt: skip
            postgres.execute(
                f"create table tickets as select n::bigint as id, '{TEXT}' || n as body, "
                "'customer' || n % 100000 || '@example.org' as email, (n % 1000)::numeric(12, 2) as amount, "
                "timestamptz '2024-01-01 00:00+00' + n * interval '1 second' as updated_at "
                f"from generate_series(1, {rows:d}) as n"
            )
            postgres.execute("vacuum analyze tickets")
        return "postgres"
    import pymysql

    mysql: Any = pymysql.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=PASSWORD, charset="utf8mb4"
    )
    with mysql, mysql.cursor() as cursor:
        cursor.execute("create database bench character set utf8mb4")
        cursor.execute(
            f"create table bench.tickets as select seq as id, concat('{TEXT}', seq) as body, "
            "concat('customer', seq % 100000, '@example.org') as email, "
            "cast(seq % 1000 as decimal(12, 2)) as amount, "
            "cast('2024-01-01' as datetime(6)) + interval seq second as updated_at "
            f"from bench.seq_1_to_{rows:d}"
        )
    return "bench"
