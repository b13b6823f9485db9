"""Bring a replica to the version that is published: copy what changed, audit it, swap."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import CarelakeError, ConfigError, RunFailed
from carelake.progress import Progress
from carelake.setting_groups.replicas import Replica
from carelake.settings import Context, Home
from carelake.warehouse.banner import banner_text
from carelake.warehouse.published import marts_file, open_marts
from carelake.warehouse.replicas import audit
from carelake.warehouse.replicas.database import Database, told
from carelake.warehouse.replicas.marts import (
    Change,
    Held,
    Mart,
    changes,
    own_tables,
    publication_of,
    published_marts,
)


@dataclass(frozen=True)
class Replicated:
    """What became of one replica.

    Attributes:
        outcome: 'done', 'nothing_new' or 'failed'.
        version: the version it holds afterwards; None when that is not known.
        travelled: marts that were sent, large ones with how many of their months.
        rows: rows that were sent.
    """

    replica: str
    outcome: str
    message: str
    version: int | None = None
    travelled: list[str] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0


def replicate_all(
    ctx: Context, progress: Progress, names: list[str] | None = None, *, anew: bool = False
) -> list[Replicated]:
    """Bring every replica to the published version; one that fails leaves the others alone.

    Args:
        names: only these.
        anew: send everything, whatever a replica says it holds.

    Raises:
        ConfigError: a name is no replica's.
    """
    found = []
    for replica in chosen(ctx, names):
        began = time.monotonic()
        progress.update(f"replicate {replica.label} ...")
        try:
            result = replicate(replica, ctx.home, progress, anew=anew)
        except CarelakeError as error:
            result = Replicated(replica.label, "failed", str(error))
        result = Replicated(**{**asdict(result), "seconds": round(time.monotonic() - began, 2)})
        _note(ctx.home, replica, result)
        found.append(result)
    return found


def chosen(ctx: Context, names: list[str] | None) -> list[Replica]:
    """The replicas of these names, all without.

    Raises:
        ConfigError: there is none of a name.
    """
    known = {replica.label: replica for replica in ctx.settings.replicas}
    for name in names or ():
        if name not in known:
            there = f"use one of {', '.join(known)}" if known else "none is set"
            raise ConfigError(f"carelake.yml: replicas: no replica is called '{name}'; {there}")
    return [known[name] for name in names] if names else list(known.values())


def replicate(
    replica: Replica, home: Home, progress: Progress, *, anew: bool = False
) -> Replicated:
    """Bring one replica to the published version.

    What is published is read after the lock was taken, so of two calls at once the second finds
    what the first one did. Killed at any moment, readers keep the version they had.

    Raises:
        RunFailed: nothing is published, the server failed us, or the audit found a difference.
        ConfigError: its password is not where the settings say.
    """
    with connected(replica) as database:
        with told(replica, database):
            database.lock(progress.say)
        path = marts_file(home)
        if not path.exists():
            raise RunFailed(f"{path}: nothing is published yet; run `carelake run`")
        path = path.resolve()
        said = publication_of(path.parent)
        with open_marts(path) as con, told(replica, database):
            marts = published_marts(con, said, database.dialect)
            held = database.held()
            todo = changes(marts, {} if anew else held)
            gone = [held[name].target for name in held.keys() - {mart.name for mart in marts}]
            current = (said["version"], banner_text(said))
            if not todo and not gone and database.version() == current:
                message = f"holds version {said['version']} already"
                return Replicated(replica.label, "nothing_new", message, said["version"])
            database.prepare(marts, held)
            own = own_tables(con, said, marts, database.dialect)
            _copy(con, database, [*todo, *(Change(table) for table in own)], home, progress)
            _audit(con, database, [*(change.mart for change in todo), *own])
            _swap(database, todo, own, held, gone)
    rows = sum(change.rows() for change in todo)
    names = [change.label for change in todo]
    message = f"version {said['version']}: {len(todo)} of {len(marts)} marts, {rows:,} rows sent"
    return Replicated(replica.label, "done", message, said["version"], names, rows)


@contextmanager
def connected(replica: Replica) -> Iterator[Database]:
    """A connection to a replica, by the driver of its kind.

    Raises:
        ConfigError: the driver is not installed.
        RunFailed: the server cannot be reached, or does not let us in.
    """
    driver = _driver(replica.kind)
    try:
        database = driver(replica)
    except driver.errors as error:
        raise RunFailed(f"{replica.address}: cannot be reached ({_first(error)})") from error
    try:
        yield database
    finally:
        database.close()


def _driver(kind: str) -> type[Database]:
    try:
        if kind == "postgresql":
            from carelake.warehouse.replicas.postgresql import PostgreSQL

            return PostgreSQL
        from carelake.warehouse.replicas.mysql import MySQL

        return MySQL
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"replicas need the package {error.name}; install the extra `replica`"
        ) from error


def _first(error: Exception) -> str:
    text = str(error.args[-1]) if error.args else type(error).__name__
    return " ".join(text.split())[:300]


def _copy(
    con: duckdb.DuckDBPyConnection,
    database: Database,
    todo: list[Change],
    home: Home,
    progress: Progress,
) -> None:
    """Write everything that changed into staging."""
    for change in todo:
        database.create(change.mart)
    database.attached(con)
    # of a killed replication; the lock says that no other writes here
    scratch = home.scratch / f"replica-{database.replica.label}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    try:
        for number, change in enumerate(todo):
            progress.bar(f"replicate {change.label}", number, len(todo))
            database.keep(change)
            database.send(con, change, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _audit(con: duckdb.DuckDBPyConnection, database: Database, marts: list[Mart]) -> None:
    """Compare every staged table, as a whole, with the published one."""
    for mart in marts:
        made = audit.checks(mart.columns, database.phrases, database.dialect.ident)
        figures = [check.ours for check in made] + [check.slack for check in made]
        ours = con.execute(audit.query(figures, mart.relation)).fetchall()[0]
        theirs = database.rows(
            audit.query([check.theirs for check in made], database.staged(mart.target))
        )[0]
        audit.compare(mart.name, made, ours[: len(made)], ours[len(made) :], theirs)


def _swap(
    database: Database,
    todo: list[Change],
    own: list[Mart],
    held: dict[str, Held],
    gone: list[str],
) -> None:
    here = database.tables(database.schema)
    arriving = [change.mart.target for change in todo] + [table.target for table in own]
    replaced = {held[change.mart.name].target for change in todo if change.mart.name in held}
    leaving = sorted({*replaced, *gone, *(table.target for table in own)} & here)
    database.swap(arriving, leaving)


def _note(home: Home, replica: Replica, result: Replicated) -> None:
    """Keep what became of a replica where `status` looks."""
    folder = home.state / "replicas"
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = asdict(result) | {"address": replica.address}
    kept["at"] = dt.datetime.now(dt.UTC).isoformat()
    path = folder / f"{replica.label}.json"
    if result.version is None and path.exists():
        # a replica that failed holds what it held before
        kept["version"] = json.loads(path.read_text(encoding="utf-8")).get("version")
    draft = Path(f"{path}.part")
    draft.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    draft.rename(path)
