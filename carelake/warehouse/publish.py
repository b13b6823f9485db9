"""Publish: write a new version, audit it, then swap one link; nothing a reader holds changes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from carelake.errors import RunFailed
from carelake.settings import Context, Home
from carelake.warehouse.connection import (
    connect,
    has_table,
    ident,
    literal,
    now_utc,
    quote,
    write_lock,
)
from carelake.warehouse.fingerprint import relation_fingerprint
from carelake.warehouse.parquet import Parts, write_parquet
from carelake.warehouse.published import marts_fingerprint, open_marts

HOLD = "HOLD"
ACCOUNTS = frozenset({"source_runs", "rejected_rows"})
PRIVATE = {"contact_vault": "int_contact_vault", "communication_texts": "int_communication_texts"}
META = {
    "publication": "One row: which version, published when, of which moment, and why newer ones are held.",
    "metric_definitions": "Grain: one row per mart and column, with what it means.",
    "settings": "Grain: one row per setting: what was promised, opening hours, holidays.",
    "uncounted_columns": "Columns that differ between equal runs; comparing versions leaves them out.",
}
"""What the tables beside the marts say of themselves."""
PROMOTED = {
    "communications": "fct_communications",
    "conversations": "fct_conversations",
}


@dataclass(frozen=True)
class PublishResult:
    """What publishing did; `version` is the one that is current afterwards."""

    published: bool
    version: int | None
    message: str
    n_tables: int = 0
    n_rows: int = 0


@dataclass(frozen=True)
class _Draft:
    """A version that is written, and not yet audited.

    Attributes:
        tables: rows of each.
        excluded: columns per mart that no fingerprint counts.
        fingerprint: of the marts in the warehouse.
    """

    version: int
    folder: Path
    tables: dict[str, int]
    excluded: dict[str, frozenset[str]]
    fingerprint: dict[str, Any]


def publish(ctx: Context, *, release: bool = False) -> PublishResult:
    """Publish the marts as a new version, unless nothing in them changed.

    Args:
        release: also end the hold that a rollback left.

    Raises:
        RunFailed: a rollback holds publishing, a gate stopped it, or the audit failed.
    """
    home = ctx.home
    with write_lock(home, "publish"):
        with connect(home, **ctx.settings.duckdb) as con:
            if release:
                (home.published / HOLD).unlink(missing_ok=True)
            _refuse_when_held(home, con)
            drafted = _write_draft(ctx, con)
        if isinstance(drafted, PublishResult):
            return drafted
        # the warehouse is closed by now: what it holds in memory would come on top
        _audit(drafted, ctx.settings.build_memory)
        seal(drafted.folder)
        drafted.folder.rename(home.published / "versions" / f"{drafted.version:06d}")
        point_to(home, drafted.version)
        forget_old(home, ctx.settings.kept_versions)
        return PublishResult(
            True,
            drafted.version,
            f"version {drafted.version}: {len(drafted.tables)} marts",
            len(drafted.tables),
            sum(drafted.tables.values()),
        )


def _write_draft(ctx: Context, con: duckdb.DuckDBPyConnection) -> _Draft | PublishResult:
    """Write all files of the next version; where nothing changed, what publishing has to say of that."""
    home = ctx.home
    for left in (home.published / "versions").glob("*.part"):  # a killed publication's draft
        shutil.rmtree(left)
    volatile = volatile_columns(home)
    fingerprint = marts_fingerprint(con, volatile)
    current = current_version(home)
    promoted = promoted_columns(ctx)
    state = {"fingerprint": fingerprint, "accounts": _accounts(con), "promoted": promoted}
    said = {} if current is None else publication(home, current)
    # a banner about a silent source stays with the data it speaks of
    is_held_back = (said.get("banner") or {"kind": "quiet"}).get("kind") != "quiet"
    if said.items() >= state.items() and not is_held_back:
        return PublishResult(False, current, f"nothing changed; version {current} stays")
    version = max([0, *versions(home)]) + 1
    folder = home.published / "versions" / f"{version:06d}.part"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)  # whatever the umask: readers pass through
    # a promoted column repeats what `attributes` holds: it is no part of the fingerprint
    excluded = {
        mart: volatile.get(mart, frozenset()) | frozenset(promoted.get(mart, {}))
        for mart in {*volatile, *promoted}
    }
    before = None if current is None else home.published / "versions" / f"{current:06d}"
    large = ctx.settings.parquet_month_from
    tables, state["parquet"] = _write_marts(
        con, folder, promoted, before, said.get("parquet", {}), large
    )
    _write_meta(con, folder, excluded, state, version)
    _write_views(folder / "marts.duckdb", list(tables))
    _write_private(con, folder)
    return _Draft(version, folder, tables, excluded, fingerprint)


def rollback(ctx: Context) -> PublishResult:
    """Make the version before the current one current, and hold publishing until released.

    Raises:
        RunFailed: there is no earlier version.
    """
    home = ctx.home
    with write_lock(home, "rollback"):
        current = current_version(home)
        earlier = [] if current is None else _with_older_data(home, current)
        if not earlier:
            raise RunFailed(
                "there is no earlier version to go back to; `carelake status` lists them"
            )
        (home.published / HOLD).write_text(
            f"rolled back from version {current} on {now_utc():%Y-%m-%d %H:%M} UTC\n",
            encoding="utf-8",
        )
        point_to(home, earlier[-1])
        return PublishResult(
            True, earlier[-1], f"version {earlier[-1]} is current; publishing is held, end it with "
            "`carelake publish --release`"
        )  # fmt: skip


def versions(home: Home) -> list[int]:
    """Complete published versions, oldest first."""
    folder = home.published / "versions"
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def current_version(home: Home) -> int | None:
    """The version readers see, None before the first."""
    link = home.published / "current"
    return int(link.resolve().name) if link.exists() else None


def hold_reason(home: Home) -> str | None:
    """Why publishing is held, None when it is not."""
    path = home.published / HOLD
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def volatile_columns(home: Home) -> dict[str, frozenset[str]]:
    """Columns marked `meta: {volatile: true}` per mart, from dbt's manifest."""
    path = home.dbt / "target" / "manifest.json"
    if not path.exists():
        raise RunFailed("the marts were not built yet; run `carelake build`")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, frozenset[str]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["schema"] == "marts":
            found[node["name"]] = frozenset(
                name for name, column in node["columns"].items() if _meta(column).get("volatile")
            )
    return found


def _meta(column: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = column.get("config") or {}
    return {**(column.get("meta") or {}), **(config.get("meta") or {})}


def _refuse_when_held(home: Home, con: duckdb.DuckDBPyConnection) -> None:
    held = hold_reason(home)
    if held:
        raise RunFailed(f"publishing is held: {held}; end it with `carelake publish --release`")
    row = con.execute("select value from ops.state where key = 'publish_blocked'").fetchone()
    if row and row[0]:
        raise RunFailed(f"publishing is stopped by a gate: {row[0]}")


def _accounts(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Fingerprints of the marts about runs: a batch that is held, or only repeats, is news too."""
    clock = frozenset({"extracted_at"})
    names = [name for name in sorted(ACCOUNTS) if has_table(con, "marts", name)]
    return [relation_fingerprint(con, f"marts.{name}", clock) for name in names]


def publication(home: Home, version: int) -> dict[str, Any]:
    """What a version says of itself: its fingerprint, its `as_of`, and its banner if it has one."""
    path = home.published / "versions" / f"{version:06d}" / "publication.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_marts(
    con: duckdb.DuckDBPyConnection,
    draft: Path,
    promoted: dict[str, dict[str, str]],
    before: Path | None,
    known: dict[str, Parts],
    large: int,
) -> tuple[dict[str, int], dict[str, Parts]]:
    """Copy every mart into the new file and to Parquet; gives rows, and Parquet's parts, per table."""
    names = con.execute(
        "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
    ).fetchall()
    rows: dict[str, int] = {}
    parts: dict[str, Parts] = {}
    con.execute(f"attach {literal(str(draft / 'marts.duckdb'))} as out")
    try:
        con.execute("create schema out.marts")
        for (name,) in names:
            columns = [row[0] for row in con.execute(f"describe marts.{name}").fetchall()]
            select = _select(name, columns, promoted.get(name, {}))
            con.execute(f"create table out.marts.{name} as {select} order by {ident(columns[0])}")
            _copy_comments(con, name)
            parts[name] = write_parquet(con, name, draft, before, known.get(name, {}), large)
            found = con.execute(f"select count(*) from out.marts.{name}").fetchone()
            rows[name] = int(found[0]) if found else 0
    finally:
        con.execute("detach out")
    return rows, parts


def promoted_columns(ctx: Context) -> dict[str, dict[str, str]]:
    """Attributes with `promote: true`: mart -> column -> attribute's name in the source."""
    found: dict[str, dict[str, str]] = {}
    for source in ctx.sources.sources:
        mart = PROMOTED.get(source.entity or "")
        for attribute in source.attributes:
            if attribute.promote and mart:
                found.setdefault(mart, {})[_snake(attribute.name)] = attribute.name
    return found


def _select(mart: str, columns: list[str], promoted: dict[str, str]) -> str:
    extra = [
        f"json_extract_string(attributes, {literal('$.' + json.dumps(name, ensure_ascii=False))}) "
        f"as {ident(column)}"
        for column, name in promoted.items()
        if "attributes" in columns and column not in columns
    ]
    return f"select {', '.join(['*', *extra])} from marts.{mart}"


def _snake(name: str) -> str:
    return "_".join("".join(c.lower() if c.isalnum() else " " for c in name).split()) or "attribute"


def _copy_comments(con: duckdb.DuckDBPyConnection, mart: str) -> None:
    table = con.execute(
        "select comment from duckdb_tables() where database_name = 'warehouse' and schema_name = 'marts' "
        "and table_name = ? union all select comment from duckdb_views() where database_name = 'warehouse' "
        "and schema_name = 'marts' and view_name = ?",
        [mart, mart],
    ).fetchone()
    if table and table[0]:
        con.execute(f"comment on table out.marts.{mart} is '{quote(table[0])}'")
    rows = con.execute(
        "select column_name, comment from duckdb_columns() where database_name = 'warehouse' "
        "and schema_name = 'marts' and table_name = ? and comment is not null",
        [mart],
    ).fetchall()
    for column, comment in rows:
        con.execute(f"comment on column out.marts.{mart}.{ident(column)} is '{quote(comment)}'")


def _write_meta(
    con: duckdb.DuckDBPyConnection,
    draft: Path,
    excluded: dict[str, frozenset[str]],
    state: dict[str, Any],
    version: int,
) -> None:
    """What the file says of itself: its version, and the columns no fingerprint counts."""
    row = con.execute("select as_of from intermediate.int_as_of").fetchone()
    said = {
        "version": version,
        "published_at": now_utc().isoformat(),
        "as_of": row[0].isoformat() if row and row[0] else None,
        **state,
    }
    con.execute(f"attach {literal(str(draft / 'marts.duckdb'))} as out")
    try:
        con.execute("create schema out.meta")
        con.execute(
            "create table out.meta.uncounted_columns (table_name varchar, column_name varchar)"
        )
        for table, columns in sorted(excluded.items()):
            for column in sorted(columns):
                con.execute("insert into out.meta.uncounted_columns values (?, ?)", [table, column])
        con.execute(
            "create table out.meta.publication as select ?::integer as version, "
            "?::timestamptz as published_at, ?::timestamptz as as_of, null::varchar as banner",
            [version, said["published_at"], said["as_of"]],
        )
        # what every column says, for those who ask in SQL
        con.execute(
            "create table out.meta.metric_definitions as select table_name as mart, column_name, data_type, "
            "comment as definition from duckdb_columns() where database_name = 'out' and schema_name = 'marts' "
            "order by mart, column_index"
        )
        # what was promised, and when it is open
        con.execute(
            "create table out.meta.settings as select key, value from ops.settings union all "
            "select concat('business_hours.', ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'][day_of_week]), "
            "string_agg(left(opens::varchar, 5) || '-' || left(closes::varchar, 5), ', ' order by opens) "
            "from ops.business_hours group by day_of_week union all "
            "select 'holiday', day::varchar from ops.holidays order by key, value"
        )
        for table, comment in META.items():
            con.execute(f"comment on table out.meta.{table} is '{quote(comment)}'")
    finally:
        con.execute("detach out")
    (draft / "publication.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


def _write_views(path: Path, names: list[str]) -> None:
    """Views in `main`, where clients look first: opened by itself, the file is named like the schema."""
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(path))} as marts")
        for name in names:
            con.execute(f"create view marts.main.{name} as from marts.marts.{name}")


def _write_private(con: duckdb.DuckDBPyConnection, draft: Path) -> None:
    """The vault and the full texts, for delivery and for roles that may see them."""
    con.execute(f"attach {literal(str(draft / 'private.duckdb'))} as private_out")
    try:
        for name, model in PRIVATE.items():
            con.execute(
                f"create table private_out.{name} as from intermediate.{model} order by all"
            )
    finally:
        con.execute("detach private_out")


def _audit(draft: _Draft, memory: str | None) -> None:
    """Open the new file as a reader would, and compare it with what was to be published."""
    with open_marts(draft.folder / "marts.duckdb", memory) as con:
        found = marts_fingerprint(con, draft.excluded)
        for name, rows in draft.tables.items():
            row = con.execute(f"select count(*) from marts.{name}").fetchone()
            if row is None or row[0] != rows:
                raise RunFailed(
                    f"audit: {name} has not the rows it should have; nothing was published"
                )
    for name, expected in draft.fingerprint.items():
        if found[name] != expected:
            raise RunFailed(f"audit: {name} differs from the warehouse; nothing was published")


def seal(draft: Path) -> None:
    """Bring a draft to the disk and take the right to write from every file of it."""
    for path in draft.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
            continue
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        path.chmod(0o400 if path.name == "private.duckdb" else 0o444)
    draft.chmod(0o755)


def point_to(home: Home, version: int) -> None:
    """Swap the link that readers follow; a reader sees the old version or the new, never neither."""
    draft = home.published / ".current.part"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("versions") / f"{version:06d}")
    draft.rename(home.published / "current")
    stable = home.published / "marts.duckdb"
    if not stable.is_symlink():
        stable.symlink_to(Path("current") / "marts.duckdb")


def forget_old(home: Home, kept: int) -> None:
    """Remove all but the newest versions.

    One with a banner repeats the data of another: it counts for nothing, and goes when the one
    after the next is there, so that a reader who is just opening it still finds it.
    """
    bannered = {v for v in versions(home) if publication(home, v).get("banner")}
    plain = [version for version in versions(home) if version not in bannered]
    old = {*plain[:-kept], *(bannered - set(versions(home)[-2:]))}
    for version in old - {current_version(home)}:
        shutil.rmtree(home.published / "versions" / f"{version:06d}", ignore_errors=True)


def _with_older_data(home: Home, current: int) -> list[int]:
    """Versions to go back to, oldest first: not those that only lack or bear a banner."""
    data = publication(home, current).get("data_version", current)
    return [v for v in versions(home) if v < data and not publication(home, v).get("banner")]
