"""A reader in a process of its own, who asks the same again and again until told to stop.

    python polling_reader.py KIND PORT PASSWORD WAY STOP_FILE ANSWER_FILE

WAY is 'statement': one statement over all tables that change; or 'transaction': one statement per table
in one transaction of the highest isolation, which begins by touching nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pymysql

EDITION = "select min(edition), max(edition), count(*) from marts.{}"
JOINED = (
    "select p.version, n.low, n.high, n.n, r.low, r.high, r.n from marts.publication as p "
    "cross join (select min(edition) as low, max(edition) as high, count(*) as n from marts.notes) as n "
    "cross join (select min(edition) as low, max(edition) as high, count(*) as n from marts.replies) as r"
)


def connect(kind: str, port: int, password: str) -> Any:
    if kind == "postgresql":
        return psycopg.connect(
            host="127.0.0.1", port=port, user="ann", password=password, dbname="postgres", autocommit=True,
        )  # fmt: skip
    return pymysql.connect(
        host="127.0.0.1", port=port, user="ann", password=password, autocommit=True
    )


def one_statement(cursor: Any) -> tuple[int, ...]:
    cursor.execute(JOINED)
    return tuple(cursor.fetchone())


def one_transaction(cursor: Any, kind: str) -> tuple[int, ...]:
    level = "set transaction isolation level repeatable read"
    for line in ("begin", level) if kind == "postgresql" else (level, "begin"):
        cursor.execute(line)
    cursor.execute("select 1")
    time.sleep(0.05)
    found: list[int] = []
    for query in (
        "select version from marts.publication", EDITION.format("notes"), EDITION.format("replies"),
    ):  # fmt: skip
        cursor.execute(query)
        found += cursor.fetchone()
        time.sleep(0.01)
    cursor.execute("commit")
    return tuple(found)


def main() -> None:
    kind, port, password, way, stop, answer = sys.argv[1:]
    con = connect(kind, int(port), password)
    cursor = con.cursor()
    reads, told_to_retry, longest = 0, 0, 0.0
    seen: set[tuple[int, ...]] = set()
    errors: list[str] = []
    while not Path(stop).exists():
        began = time.monotonic()
        try:
            seen.add(one_statement(cursor) if way == "statement" else one_transaction(cursor, kind))
            reads += 1
        except pymysql.OperationalError as error:
            # MySQL's own words for a transaction that began before the swap: begin it anew
            if way == "transaction" and error.args[0] in (1412, 1213):
                told_to_retry += 1
                con.rollback()
            else:
                errors.append(str(error))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
            con.rollback()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.005)
    Path(answer).write_text(
        json.dumps(
            {"way": way, "reads": reads, "retries": told_to_retry, "seen": sorted(seen),
             "errors": errors[:5], "longest": longest}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
