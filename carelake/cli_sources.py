"""Commands about sources: which kinds there are, and whether one can be read."""

from __future__ import annotations

from typing import Annotated

import typer

from carelake.cli_common import open_context, say

source_app = typer.Typer(no_args_is_help=True, help="What is read, and whether it can be.")


@source_app.command("kinds")
def source_kinds() -> None:
    """List the kinds of sources, with the keys each must have.

    Example:

        carelake source kinds
    """
    from carelake.reports.tables import print_rows
    from carelake.source_kinds import KINDS

    rows = [[kind, rule.reads, rule.required] for kind, rule in KINDS.items()]
    print_rows(["kind", "reads", "required keys"], rows)


@source_app.command("test")
def source_test(
    name: Annotated[str, typer.Argument(help="A source or block of sources.yml.")],
    limit: Annotated[int, typer.Option(min=1, help="Records to show.")] = 3,
) -> None:
    """Connect to a source, and show what would be read and its first records as they would land.

    Nothing is kept. Exit code 1 when the source cannot be read, with one line that says why.

    Examples:

        carelake source test call_records

        carelake source test shop_tickets --limit 1
    """
    from carelake.probe import probe
    from carelake.shown import one_line

    ctx = open_context()
    is_readable = True
    for source in ctx.sources.select([name]):
        found = probe(ctx, source, limit)
        if found.trouble is not None:
            say(f"{source.name}: {one_line(found.trouble)}", err=True)
            is_readable = False
            continue
        say(f"{source.name}: {one_line(found.message)}")
        for file in found.files:
            say(f"  {one_line(file)}")
        for record in found.records:
            say("")
            for column, value in record.items():
                say(f"  {column:<18} {one_line(str(value))[:200]}")
    if not is_readable:
        raise typer.Exit(1)
