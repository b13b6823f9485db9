"""The figures of a run, read from what readers see: the published marts and the registry."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.settings import Context

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_REASONS = 4
"""Reasons per source; all are in `rejected_rows`."""
SHOWN_FOLLOW_UPS = 5


@dataclass(frozen=True)
class SourceRow:
    """What became of one source's records; the account of `marts.source_runs`, summed.

    `n_rejected` are structural rejects and rejected rows; `n_replaced` are duplicates, superseded
    and deleted rows. n_physical = n_staged + n_rejected + n_replaced + n_held.
    """

    source_name: str
    n_batches: int
    n_physical: int
    n_staged: int
    n_rejected: int
    n_replaced: int
    n_held: int


@dataclass(frozen=True)
class RejectRow:
    """Rejected records of one source for one reason, of `marts.rejected_rows`."""

    source_name: str
    reason: str
    n_rows: int


@dataclass(frozen=True)
class GateRow:
    """Results of a layer's last check, of `marts.data_quality_results`."""

    layer: str
    n_passed: int
    n_warnings: int
    n_blocking: int


@dataclass(frozen=True)
class ModelRow:
    """A model's champion beside the baseline, of `marts.model_decisions`.

    Attributes:
        version: the champion's; None when there is none.
        value: the champion's `metric` on the hold-out.
        baseline: the owner's recipe on the same rows.
        note: why there is no champion, or what the newest decision was when it made none.
    """

    model_name: str
    version: int | None
    metric: str
    value: float | None
    baseline: float | None
    n_test: int | None
    split: str
    note: str


@dataclass(frozen=True)
class FollowUpRow:
    """One open task of `marts.follow_up_queue`; due in the reporting time zone."""

    rank: int
    customer: str
    reason: str
    channel: str
    owner: str
    due: str


@dataclass(frozen=True)
class RunSummary:
    """Everything the summary prints."""

    sources: list[SourceRow]
    rejects: list[RejectRow]
    gates: list[GateRow]
    warnings: list[str]
    models: list[ModelRow]
    follow_ups: list[FollowUpRow]
    n_follow_ups: int
    version: int | None
    as_of: str | None
    marts_file: Path
    tables: dict[str, int]


def run_summary(ctx: Context) -> RunSummary:
    """Read the summary from the published marts and the registry's aliases.

    Raises:
        RunFailed: nothing was published yet.
    """
    from carelake.warehouse.published import read_only

    zone = ctx.settings.reporting_timezone
    with read_only(ctx.home) as con:
        version, as_of = _publication(con, zone)
        open_tasks = con.execute(
            "select count(*) from follow_up_queue where status in ('proposed', 'approved')"
        ).fetchone()
        return RunSummary(
            sources=[SourceRow(*row) for row in con.execute(_SOURCES).fetchall()],
            rejects=[RejectRow(*row) for row in con.execute(_REJECTS).fetchall()],
            gates=[GateRow(*row) for row in con.execute(_GATES).fetchall()],
            warnings=[str(row[0]) for row in con.execute(_WARNINGS).fetchall()],
            models=_models(con, champion_versions(ctx.home.mlflow_uri)),
            follow_ups=[
                FollowUpRow(*row) for row in con.execute(_FOLLOW_UPS, {"zone": zone}).fetchall()
            ],
            n_follow_ups=int(open_tasks[0]) if open_tasks else 0,
            version=version,
            as_of=as_of,
            marts_file=ctx.home.published / "marts.duckdb",
            tables={
                name: int(con.execute(f"select count(*) from {name}").fetchall()[0][0])
                for name in ("dim_customers", "fct_conversations", "fct_communications")
            },
        )


_SOURCES = """
    select
        source_name, count(batch_id), sum(n_physical)::bigint, sum(n_staged)::bigint,
        sum(n_structural_rejects + n_rejected)::bigint,
        sum(n_duplicates + n_superseded + n_deleted)::bigint, sum(n_held)::bigint,
    from source_runs
    group by source_name
    order by source_name
"""
# A reason may quote the value after a colon; the kind of fault is what comes before.
_REJECTS = """
    select source_name, split_part(reason, ':', 1) as reason, count(*) as n_rows
    from rejected_rows
    group by all
    order by source_name, n_rows desc, reason
"""
_LAST_CHECKS = """
    with last_checks as (
        select layer, run_id, checked_at
        from data_quality_results
        qualify row_number() over (partition by layer order by checked_at desc, run_id) = 1
    ),
    results as (
        select data_quality_results.*
        from data_quality_results
        inner join last_checks using (layer, run_id, checked_at)
    )
"""
_GATES = f"""
    {_LAST_CHECKS}
    select
        layer, count(*) filter (success), count(*) filter (not success and severity = 'warning'),
        count(*) filter (not success and severity = 'blocking'),
    from results
    group by layer
    order by list_position(['raw', 'staging', 'features', 'marts'], layer)
"""
_WARNINGS = f"""
    {_LAST_CHECKS}
    select layer || ' ' || severity || ': ' || details
    from results
    where not success
    order by severity, layer, suite, expectation, column_name, batch_id
"""
_FOLLOW_UPS = f"""
    select
        queue.rank, coalesce(customers.name_masked, left(queue.customer_key, 8)), queue.reason,
        queue.channel, queue.owner, strftime(queue.due_at at time zone $zone, '%a %Y-%m-%d %H:%M'),
    from follow_up_queue as queue
    left join dim_customers as customers using (customer_key)
    where queue.status in ('proposed', 'approved')
    order by queue.rank, queue.follow_up_id
    limit {SHOWN_FOLLOW_UPS}
"""
_DECISIONS = """
    select
        model_name, model_version, decision, reason, metric, baseline_value::double,
        challenger_value::double, n_test, split,
    from model_decisions
    order by model_name, decided_at desc, decision_id
"""


def champion_versions(mlflow_uri: str) -> dict[str, int]:
    """Versions behind the alias `champion`, by model.

    Read from MLflow's own SQLite file, since importing MLflow takes longer than a whole summary;
    a registry elsewhere is asked through its client.
    """
    if not mlflow_uri.startswith("sqlite:///"):
        from mlflow import MlflowClient

        client = MlflowClient(mlflow_uri)
        return {
            model.name: int(model.aliases["champion"])
            for model in client.search_registered_models()
            if "champion" in model.aliases
        }
    path = Path(mlflow_uri.removeprefix("sqlite:///"))
    if not path.exists():
        return {}
    con = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        rows = con.execute(
            "select name, version from registered_model_aliases where alias = 'champion'"
        ).fetchall()
    except sqlite3.OperationalError:  # the registry has no tables before the first run
        return {}
    finally:
        con.close()
    return {str(name): int(version) for name, version in rows}


def _models(con: DuckDBPyConnection, champions: dict[str, int]) -> list[ModelRow]:
    newest: dict[str, tuple[Any, ...]] = {}
    promoted: dict[str, tuple[Any, ...]] = {}
    for row in con.execute(_DECISIONS).fetchall():
        name, version, decision = row[:3]
        newest.setdefault(name, row)
        if decision in ("promoted", "rolled_back") and version == champions.get(name):
            promoted.setdefault(name, row)
    rows = []
    for name, last in newest.items():
        shown = promoted.get(name)
        note = "" if shown == last else f"last training {last[2]}: {last[3]}"
        if shown is None:
            rows.append(
                ModelRow(name, champions.get(name), last[4], None, last[5], last[7], last[8], note)
            )
        else:
            rows.append(
                ModelRow(name, shown[1], shown[4], shown[6], shown[5], shown[7], shown[8], note)
            )
    return rows


def _publication(con: DuckDBPyConnection, zone: str) -> tuple[int | None, str | None]:
    import duckdb

    try:
        row = con.execute(
            "select version, strftime(as_of at time zone ?, '%Y-%m-%d %H:%M') from meta.publication",
            [zone],
        ).fetchone()
    except duckdb.CatalogException:  # a file that something else than publish wrote
        return None, None
    return (int(row[0]), row[1]) if row else (None, None)
