"""What a run came to, read back from what it published: every figure is one a query gives."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.reports.status import held_batches
from carelake.settings import Context

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console
    from rich.table import Table

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
        source_name, count(*), sum(n_physical)::bigint, sum(n_staged)::bigint,
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
        if decision == "promoted" and version == champions.get(name):
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


def print_run_summary(ctx: Context, console: Console | None = None) -> None:
    """Print the summary: tables on a terminal, plain aligned lines elsewhere.

    Args:
        ctx: whose home is summed up.
        console: where to; standard output by default.

    Raises:
        RunFailed: nothing was published yet.
    """
    from rich.console import Console

    summary = run_summary(ctx)
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=320)
    plain = not console.is_terminal
    _print_accounts(console, summary, plain)
    _print_gates(console, summary)
    _print_models(console, summary, plain)
    _print_follow_ups(console, summary, plain)
    _print_places(console, ctx, summary)


def _table(plain: bool, *headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        # a leading > marks a column of figures
        right = heading.startswith(">")
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return table


def _say(console: Console, text: str = "", style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False)


def _heading(console: Console, text: str) -> None:
    _say(console)
    _say(console, text, style="bold")


def _print_accounts(console: Console, summary: RunSummary, plain: bool) -> None:
    _heading(console, "Rows in")
    table = _table(
        plain, "source", ">batches", ">rows in", ">loaded", ">rejected", ">replaced", ">held"
    )
    for row in summary.sources:
        table.add_row(row.source_name, *(f"{value:,}" for value in _figures(row)))
    totals = [sum(values) for values in zip(*map(_figures, summary.sources), strict=True)]
    if totals:
        table.add_row("all sources", *(f"{value:,}" for value in totals), style="bold")
    console.print(table)
    if summary.rejects:
        _heading(console, "Rejected, by source and reason")
        table = _table(plain, "source", ">rows", "reasons")
        for source in dict.fromkeys(reject.source_name for reject in summary.rejects):
            found = [reject for reject in summary.rejects if reject.source_name == source]
            reasons = [f"{reject.reason} ({reject.n_rows:,})" for reject in found[:SHOWN_REASONS]]
            if len(found) > SHOWN_REASONS:
                reasons.append(
                    f"{len(found) - SHOWN_REASONS} more: carelake quarantine show {source}"
                )
            n_rows = sum(reject.n_rows for reject in found)
            table.add_row(source, f"{n_rows:,}", _cell("; ".join(reasons)))
        console.print(table)


def _figures(row: SourceRow) -> tuple[int, ...]:
    return (row.n_batches, row.n_physical, row.n_staged, row.n_rejected, row.n_replaced, row.n_held)


def _cell(text: str) -> Any:
    """A cell that shows brackets as they are."""
    from rich.text import Text

    return Text(text)


def _print_gates(console: Console, summary: RunSummary) -> None:
    _heading(console, "Gates")
    for row in summary.gates:
        _say(
            console,
            f"{row.layer}: {row.n_passed} passed, {row.n_warnings} warnings, "
            f"{row.n_blocking} blocking",
        )
    for warning in summary.warnings[:SHOWN_FOLLOW_UPS]:
        _say(console, f"  {warning}")
    if len(summary.warnings) > SHOWN_FOLLOW_UPS:
        left = len(summary.warnings) - SHOWN_FOLLOW_UPS
        _say(console, f"  and {left} more: select * from data_quality_results where not success")


def _print_models(console: Console, summary: RunSummary, plain: bool) -> None:
    _heading(console, "Models")
    if not summary.models:
        _say(console, "none trained yet")
        return
    table = _table(
        plain, "model", ">champion", "metric", ">champion's", ">owner's recipe", "tested on"
    )
    for row in summary.models:
        split = (row.split or "").removeprefix("none: ")
        tested = f"{row.n_test:,} rows, {split}" if row.n_test else split
        table.add_row(
            row.model_name,
            f"v{row.version}" if row.version else "none",
            row.metric,
            _measure(row.value),
            _measure(row.baseline),
            _cell(tested),
        )
    console.print(table)
    for row in summary.models:
        if row.note:
            _say(console, f"{row.model_name}: {row.note}")


def _measure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _print_follow_ups(console: Console, summary: RunSummary, plain: bool) -> None:
    _heading(
        console, f"Follow-ups: the first {len(summary.follow_ups)} of {summary.n_follow_ups:,}"
    )
    if not summary.follow_ups:
        _say(console, "no rule matches; see followup.yml")
        return
    table = _table(plain, ">#", "customer", "owner", "channel", "due", "why")
    for row in summary.follow_ups:
        table.add_row(
            str(row.rank),
            _cell(row.customer),
            _cell(row.owner),
            row.channel,
            row.due,
            _cell(row.reason),
        )
    console.print(table)


def _print_places(console: Console, ctx: Context, summary: RunSummary) -> None:
    counts = ", ".join(f"{rows:,} in {name}" for name, rows in summary.tables.items())
    _heading(console, f"Marts, version {summary.version}, as of {summary.as_of}")
    _say(console, f"{summary.marts_file} ({counts})")
    _say(console, f"gates' pages: {ctx.home.data_docs / 'index.html'}")
    held = held_batches(ctx.home)
    if held:
        _heading(console, "Held: not in the marts until somebody decides")
        for batch, reason in held:
            _say(console, f"{batch}: {reason}")
        _say(console, "carelake batch release BATCH, or discard; or mend and quarantine replay")
    _heading(console, "Next")
    ours = "carelake" if shutil.which("carelake") else ".venv/bin/carelake"
    for command, purpose in (
        ('carelake sql "select * from follow_up_queue order by rank limit 20"', "whom to contact"),
        ("carelake quarantine list", "what was rejected, and why"),
        ("carelake status", "how fresh everything is"),
        ("make up", "Airflow, MLflow and the documentation in a browser"),
    ):
        _say(console, f"{command.replace('carelake', ours, 1):<72} {purpose}")
