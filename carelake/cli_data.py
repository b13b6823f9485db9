"""Commands that look at what there is: status, marts, quarantine, held batches."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Annotated

import typer

from carelake.cli_common import Format, open_context, ready, say

quarantine_app = typer.Typer(
    no_args_is_help=True, help="Records that are not in the marts, and why."
)
batch_app = typer.Typer(no_args_is_help=True, help="Batches that a gate holds.")


def status(
    output: Annotated[Format, typer.Option("--format", help="table or json")] = Format.table,
) -> None:
    """What is published, how fresh each source is, and what the last run did.

    Example:

        carelake status
    """
    from carelake.reports.status import print_status

    print_status(open_context(), as_json=output is Format.json)


def sql(
    query: Annotated[
        str, typer.Argument(help="A query on the published marts; - reads it from standard input.")
    ],
    output: Annotated[Format, typer.Option("--format", help="table, csv or json")] = Format.table,
) -> None:
    """Query the published marts.

    Examples:

        carelake sql "from agg_channel_daily limit 5"

        carelake sql "select count(*) as n from dim_customers" --format json

        carelake sql - --format csv < question.sql
    """
    from carelake.reports.tables import print_query
    from carelake.warehouse.published import read_only

    with read_only(open_context().home) as con:
        print_query(con, sys.stdin.read() if query == "-" else query, output.value)


def fingerprint() -> None:
    """Row count and content hash of every published mart, as JSON.

    Example:

        carelake fingerprint > before.json
    """
    import json

    from carelake.warehouse.published import published_fingerprint

    typer.echo(json.dumps(published_fingerprint(open_context().home), indent=1))


def diff(
    before: Annotated[int, typer.Argument(help="An earlier version.")],
    after: Annotated[int, typer.Argument(help="A later one.")],
    day: Annotated[
        dt.datetime | None,
        typer.Option(
            "--day", formats=["%Y-%m-%d"], help="What changed on this day, and by which rows."
        ),
    ] = None,
) -> None:
    """Say what changed between two published versions.

    Rows of each mart that one of them has and the other has not, and the batches that came in
    between. With --day also the figures of that day, and the rows behind them.

    Examples:

        carelake diff 6 7

        carelake diff 6 7 --day 2024-04-23
    """
    from carelake.reports import version_diff
    from carelake.reports.tables import print_rows

    ctx = open_context()
    with version_diff.two_versions(ctx.home, before, after) as con:
        changes = version_diff.mart_changes(con)
        if not changes:
            typer.echo(f"versions {before} and {after} say the same")
            return
        print_rows(
            ["mart", "rows before", "rows after", "only before", "only after"],
            [[c.mart, c.n_before, c.n_after, c.n_only_before, c.n_only_after] for c in changes],
        )
        batches = version_diff.new_batches(con)
        if batches:
            print_rows(["source", "new batches", "records"], batches)
        if day is None:
            return
        figures = [
            [change.channel, change.figure, change.before or "", change.after or ""]
            for change in version_diff.day_changes(con, day.date())
        ]
        rows = version_diff.behind_the_day(con, day.date(), ctx.settings.reporting_timezone)
        if not figures and not rows:
            typer.echo(f"{day:%Y-%m-%d} is the same in both")
        if figures:
            print_rows(["channel", "figure", "before", "after"], figures)
        if rows:
            print_rows(["mart", "source", "what", "rows", "one of them"], rows)


@quarantine_app.command("list")
def quarantine_list(
    output: Annotated[Format, typer.Option("--format", help="table or json")] = Format.table,
) -> None:
    """Count quarantined records by source and reason.

    Examples:

        carelake quarantine list

        carelake quarantine list --format json
    """
    from carelake.reports.tables import print_rows
    from carelake.shown import safe_json
    from carelake.warehouse.quarantine import summary

    rows = summary(ready())
    names = ["source", "stage", "reason", "records"]
    if output is Format.json:
        typer.echo(safe_json([dict(zip(names, row, strict=True)) for row in rows]))
        return
    print_rows(names, rows)
    typer.echo(
        f"{sum(row[3] for row in rows):,} records; see them with `carelake quarantine show SOURCE`"
    )


@quarantine_app.command("show")
def quarantine_show(
    source: Annotated[str | None, typer.Argument(help="Only this source, or block.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Records to show.")] = 20,
    output: Annotated[Format, typer.Option("--format", help="table or json")] = Format.table,
) -> None:
    """Show quarantined records: file, line, reason, text.

    Example:

        carelake quarantine show call_records --limit 5
    """
    from carelake.shown import one_line, safe_json
    from carelake.warehouse.quarantine import as_rows, show

    ctx = ready()
    named = None if source is None else [each.name for each in ctx.sources.select([source])]
    found = show(ctx, named, limit)
    if output is Format.json:
        typer.echo(safe_json(as_rows(found)))
        return
    for record in found:
        if record.stage == "held":
            typer.echo(f"{record.source} · {record.batch_id} · the whole batch is held")
            say(
                f"  {one_line(record.reason)}\n  `carelake batch release {record.batch_id}` or discard"
            )
            continue
        where = f"record {record.row}" if record.row else "the whole file"
        where = f"line {record.line}" if record.line else where
        say(f"{record.source} · {record.batch_id} · {one_line(record.file)} · {where}")
        say(f"  {one_line(record.reason)}")
        if record.text:
            say(f"  {one_line(record.text[:300])}")
    typer.echo(f"{len(found)} shown; after a mend: `carelake quarantine replay`")


@quarantine_app.command("replay")
def quarantine_replay(
    batches: Annotated[
        list[str] | None, typer.Argument(help="Batch ids; all concerned without.")
    ] = None,
) -> None:
    """Load batches again from the landing zone with the mapping as it is now.

    Examples:

        carelake quarantine replay

        carelake quarantine replay call_records-000001
    """
    from carelake.warehouse.quarantine import replay

    results = replay(ready(), batches)
    for result in results:
        typer.echo(f"{result.batch_id}: {result.n_raw:,} rows, {result.n_rejects:,} rejects")
    typer.echo(f"{len(results)} batches loaded again; bring them to the marts with `carelake run`")


@batch_app.command("release")
def batch_release(batch: Annotated[str, typer.Argument(help="Id of a held batch.")]) -> None:
    """Let a held batch into the marts although a gate held it.

    Example:

        carelake batch release web_chat-000003
    """
    from carelake.warehouse.quarantine import decide

    decide(ready(), batch, "released")
    typer.echo(f"{batch} is released; bring it to the marts with `carelake run`")


@batch_app.command("discard")
def batch_discard(batch: Annotated[str, typer.Argument(help="Id of a held batch.")]) -> None:
    """Leave a held batch out for good; its files and rows are kept.

    Example:

        carelake batch discard web_chat-000003
    """
    from carelake.warehouse.quarantine import decide

    decide(ready(), batch, "discarded")
    typer.echo(f"{batch} is discarded; `carelake quarantine replay {batch}` would bring it back")
