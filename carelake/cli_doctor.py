"""`carelake doctor`: what is wrong with a home, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from carelake.cli_common import Format, say

if TYPE_CHECKING:
    from carelake.doctor import Finding, Patient


def doctor(
    output: Annotated[Format, typer.Option("--format", help="table or json")] = Format.table,
) -> None:
    """Look the home over: versions, disk, locks, permissions, ports, sources, databases, freshness.

    Each trouble comes with what mends it; nothing is changed. Ends with 1 when anything fails.

    Examples:

        carelake doctor

        carelake doctor --format json
    """
    from carelake.doctor import Level, examine

    found = examine(_patient())
    if output is Format.json:
        _print_json(found)
    else:
        _print_lines(found)
    if any(one.level is Level.fail for one in found):
        raise typer.Exit(1)


def _patient() -> Patient:
    """The home the environment names, also when its configuration cannot be read."""
    from carelake import pipeline
    from carelake.doctor import Patient
    from carelake.errors import ConfigError
    from carelake.settings import Home, prepare_environment
    from carelake.warehouse.connection import now_utc

    home = Home.from_environment()
    prepare_environment(home)
    try:
        return Patient(home, pipeline.open_context(), now_utc())
    except ConfigError as error:
        return Patient(home, None, now_utc(), str(error))


def _print_json(found: list[Finding]) -> None:
    from dataclasses import asdict

    from carelake.shown import safe_json

    typer.echo(safe_json([asdict(one) for one in found]))


def _print_lines(found: list[Finding]) -> None:
    from carelake.doctor import Level
    from carelake.shown import one_line

    for one in found:
        say(f"{one.level.value:<4}  {one.check:<13}  {one_line(one.what)}")
        if one.mend:
            say(f"{'':<21}→ {one_line(one.mend)}")
    counts = {level: sum(one.level is level for one in found) for level in Level}
    say(f"{counts[Level.fail]} FAIL, {counts[Level.warn]} WARN, {counts[Level.ok]} OK")
