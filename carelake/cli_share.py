"""Commands that bring the marts to people on other machines: databases and files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carelake.cli_common import open_context, perform, ready, say

if TYPE_CHECKING:
    from carelake.steps import StepResult


class ExportFormat(StrEnum):
    """What the marts can be exported as."""

    hyper = "hyper"
    parquet = "parquet"


def replicate(
    replicas: Annotated[
        list[str] | None, typer.Argument(help="Names from carelake.yml; all without.")
    ] = None,
    anew: Annotated[bool, typer.Option(help="Send everything, not only what changed.")] = False,
) -> None:
    """Bring the databases of `replicas` in carelake.yml to the published version.

    Every run does so too, after publishing.

    Examples:

        carelake replicate

        carelake replicate reporting --anew
    """
    from carelake.warehouse.replicas.replicate import chosen

    ctx = ready()
    chosen(ctx, replicas)
    result = perform(ctx, "replicate", replicas=replicas, anew=anew)
    for name, marts in result.details.get("travelled", {}).items():
        if marts:
            say(f"  {name}: {', '.join(marts)}")
    if tell_failed(result):
        raise typer.Exit(1)


def export(
    to: Annotated[Path, typer.Argument(help="File (hyper) or folder (parquet) to write.")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="hyper or parquet")
    ] = ExportFormat.hyper,
) -> None:
    """Write the published marts into one Tableau file, or a folder of Parquet files.

    Examples:

        carelake export marts.hyper

        carelake export handover --format parquet
    """
    from carelake.reports.export import export_hyper, export_parquet

    write = export_hyper if form is ExportFormat.hyper else export_parquet
    rows = write(open_context().home, to)
    say(f"{to}: {len(rows)} marts, {sum(rows.values()):,} rows")


def tell_failed(result: StepResult) -> bool:
    """Print which replicas stay old and why; gives whether any does."""
    failed = result.details["failed"] if result.step == "replicate" else {}
    for name, why in failed.items():
        say(f"carelake: replica {name} keeps what it has: {why}", err=True)
    return bool(failed)
