"""What the SQL needs of `carelake.yml` and `sources.yml`, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb

from carelake.needs.taxonomy import Taxonomy, load_taxonomy, rules_of
from carelake.settings import Context, Settings
from carelake.warehouse.connection import insert_rows, literal


def record_configuration(con: duckdb.DuckDBPyConnection, ctx: Context) -> None:
    """Write settings and sources where dbt reads them; one transaction."""
    con.execute("begin")
    try:
        _record_sources(con, ctx)
        _record_settings(con, ctx.settings)
        record_needs(con, load_taxonomy(ctx.config_dir))
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise


def _record_sources(con: duckdb.DuckDBPyConnection, ctx: Context) -> None:
    rows = [
        {
            "source_name": source.name,
            "kind": source.kind,
            "entity": source.raw_table,
            "channel": source.channel or source.rule.channel,
            "mode": source.mode,
            "dedupe": source.dedupe_rule,
            "region": source.region or ctx.settings.default_region,
            "timezone": source.timezone,
            "has_id": source.has_id,
            "id_namespace": source.id_namespace,
            "position": position,
            "system": source.block,
        }
        for position, source in enumerate(ctx.sources.sources)
    ]
    if rows:
        changes = ", ".join(
            f"{name} = excluded.{name}" for name in rows[0] if name != "source_name"
        )
        insert_rows(con, "ops.sources", rows, f"on conflict (source_name) do update set {changes}")


def _record_settings(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    flat = {
        "reporting_timezone": settings.reporting_timezone,
        "default_region": settings.default_region,
        "index_window_days": str(settings.index_window_days),
        "value_floor": str(settings.value_floor),
        "cv_basis": settings.cv_basis,
        "ces_easy_is": settings.ces_easy_is,
        "unanswered_days": str(settings.unanswered_days),
        "matter_window_hours": str(settings.matter_window_hours),
        **{f"reply_within_minutes.{c}": str(m) for c, m in settings.reply_within_minutes.items()},
        "phone_answer_within_seconds": str(settings.phone_answer_within_seconds),
        "service_levels": json.dumps([x.model_dump(mode="json") for x in settings.service_levels]),
        **{f"retention.{entity}": str(days) for entity, days in settings.retention.items()},
    }
    kept = ", ".join(literal(key) for key in ("as_of_override", *flat))
    con.execute(f"delete from ops.settings where key not in ({kept})")
    rows = [{"key": key, "value": value} for key, value in flat.items()]
    # a key that is deleted and inserted in one transaction ends the process on a full disk
    insert_rows(con, "ops.settings", rows, "on conflict (key) do update set value = excluded.value")
    own = settings.own_identities
    identities = [("domain", value.lower()) for value in own.domains]
    identities += [("email", value.lower()) for value in own.emails]
    identities += [("phone", value) for value in own.phones]
    identities += [("handle", value) for value in own.handles]
    _replace(con, "ops.own_identities", [{"kind": k, "value": v} for k, v in identities])
    hours = settings.opening_intervals()
    _replace(
        con,
        "ops.business_hours",
        [{"day_of_week": day, "opens": opens, "closes": closes} for day, opens, closes in hours],
    )
    _replace(con, "ops.holidays", [{"day": day} for day in settings.holidays])


def record_needs(con: duckdb.DuckDBPyConnection, taxonomy: Taxonomy) -> None:
    """Write what customers come for, and what each is known by."""
    needs = [
        {
            **need.model_dump(include={"name", "name_zh", "is_presale"}),
            "need": need.code,
            "position": i,
        }
        for i, need in enumerate(taxonomy.needs)
    ]
    rules = [
        {"need": need.code, "kind": kind, "word": word}
        for need in taxonomy.needs
        for kind, word in rules_of(need)
    ]
    _replace(con, "ops.needs", needs)
    _replace(con, "ops.need_rules", rules)


def _replace(
    con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, object]]
) -> None:
    con.execute(f"delete from {table}")
    insert_rows(con, table, rows)
