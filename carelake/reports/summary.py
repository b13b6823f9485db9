"""The end of a run on a terminal: every number comes from `figures`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from carelake.reports.figures import (
    SHOWN_FOLLOW_UPS,
    SHOWN_REASONS,
    RunSummary,
    SourceRow,
    run_summary,
)
from carelake.reports.status import held_batches
from carelake.settings import Context
from carelake.shown import one_line, visible
from carelake.warehouse.connection import now_utc
from carelake.warehouse.freshness import freshness

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


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
    console.print(visible(text), style=style, markup=False, highlight=False)


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

    return Text(one_line(text))


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
            _cell(row.model_name),
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
            _cell(row.channel),
            _cell(row.due),
            _cell(row.reason),
        )
    console.print(table)


def _print_places(console: Console, ctx: Context, summary: RunSummary) -> None:
    counts = ", ".join(f"{rows:,} in {name}" for name, rows in summary.tables.items())
    _heading(console, f"Marts, version {summary.version}, as of {summary.as_of}")
    _say(console, f"{summary.marts_file} ({counts})")
    _say(console, f"gates' pages: {ctx.home.data_docs / 'index.html'}")
    quiet = [one for one in freshness(ctx, now_utc()) if one.message]
    if quiet:
        _heading(console, "Quiet")
        for one in quiet:
            _say(console, f"{one.source} {one.message}")
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
