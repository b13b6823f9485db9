"""What the SQL needs of `carelake.yml` and `sources.yml`, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from carelake.settings import Context, Settings


def record_configuration(con: duckdb.DuckDBPyConnection, ctx: Context) -> None:
    """Write settings and sources where dbt reads them; one transaction."""
    con.execute("begin")
    try:
        _record_sources(con, ctx)
        _record_settings(con, ctx.settings)
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise


def _record_sources(con: duckdb.DuckDBPyConnection, ctx: Context) -> None:
    for position, source in enumerate(ctx.sources.sources):
        con.execute(
            """
            insert into ops.sources by name
            select ? as source_name, ? as kind, ? as entity, ? as channel, ? as mode, ? as dedupe,
                ? as region, ? as timezone, ? as has_id, ? as position
            on conflict (source_name) do update set kind = excluded.kind, entity = excluded.entity,
                channel = excluded.channel, mode = excluded.mode, dedupe = excluded.dedupe,
                region = excluded.region, timezone = excluded.timezone, has_id = excluded.has_id,
                position = excluded.position
            """,
            [
                source.name, source.kind, source.raw_table,
                source.channel or ("email" if source.kind == "mbox" else None), source.mode,
                source.dedupe_rule, source.region or ctx.settings.default_region, source.timezone,
                source.has_id, position,
            ],
        )  # fmt: skip


def _record_settings(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    flat = {
        "reporting_timezone": settings.reporting_timezone,
        "default_region": settings.default_region,
        "index_window_days": str(settings.index_window_days),
        "value_floor": str(settings.value_floor),
        "cv_basis": settings.cv_basis,
        "ces_easy_is": settings.ces_easy_is,
        "unanswered_days": str(settings.unanswered_days),
        **{f"reply_within_minutes.{c}": str(m) for c, m in settings.reply_within_minutes.items()},
    }
    _replace(con, "ops.settings", list(flat.items()), keep="key = 'as_of_override'")
    own = settings.own_identities
    identities = [("domain", value.lower()) for value in own.domains]
    identities += [("email", value.lower()) for value in own.emails]
    identities += [("phone", value) for value in own.phones]
    identities += [("handle", value) for value in own.handles]
    _replace(con, "ops.own_identities", identities)
    _replace(con, "ops.business_hours", settings.opening_intervals())
    _replace(con, "ops.holidays", [(day,) for day in settings.holidays])


def _replace(
    con: duckdb.DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[object, ...]],
    keep: str = "false",
) -> None:
    con.execute(f"delete from {table} where not ({keep})")
    for row in rows:
        con.execute(f"insert into {table} values ({', '.join('?' * len(row))})", list(row))
