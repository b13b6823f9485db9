"""`python -m carelake.services run | up | down | status`: what the Makefile calls."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

from carelake.errors import CarelakeError
from carelake.settings import Home, prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _say() -> Callable[[str], None]:
    began = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"[{time.monotonic() - began:4.0f} s] {line}", err=True)

    return say


@app.command()
def run(
    limit_minutes: float = typer.Option(60.0, help="Give up after so many minutes."),
) -> None:
    """Run every source and the build once, by Airflow, then stop it and print a summary."""
    from carelake.services import running

    home = Home.from_environment()
    failures = running.run(home, _say(), limit_minutes * 60)
    try:
        _summary(home)
    except CarelakeError:
        # a first run that failed has published nothing to sum up
        if not failures:
            raise
    for failure in failures:
        typer.secho(failure, fg="red", err=True)
    if failures:
        raise typer.Exit(1)


@app.command()
def up() -> None:
    """Start Airflow, MLflow, dbt docs and Data Docs on loopback, and say where they are."""
    from carelake.services import up as pages

    home = Home.from_environment()
    for page in pages.up(home, _say()):
        typer.echo(f"{page.name:<10} {page.url or '-':<32} {page.note}")
    for name, user, password in pages.new_passwords(home):
        typer.echo(f"{name:<20} user {user:<7} password {password}")
    typer.echo(f"Passwords are kept in {home.state / 'secrets.json'}")
    typer.echo("Stop them with: make down")


@app.command()
def down() -> None:
    """Stop every server of this home."""
    from carelake.services import up as pages

    servers, killed = pages.down(Home.from_environment())
    forced = f", {killed} processes had to be killed" if killed else ""
    typer.echo(f"{servers} servers stopped{forced}" if servers else "nothing was running")


@app.command()
def status() -> None:
    """Say which servers of this home run, and where."""
    from carelake.services import up as pages

    rows = pages.state(Home.from_environment())
    for name, state, where in rows:
        typer.echo(f"{name:<14} {state:<8} {where}")
    if not rows:
        typer.echo("nothing is running")


@app.command()
def dbt_docs() -> None:
    """Write the dbt docs of this home."""
    from carelake import pipeline
    from carelake.warehouse import build

    typer.echo(build.docs(pipeline.open_context()))


def _summary(home: Home) -> None:
    from carelake.reports.summary import print_run_summary
    from carelake.services.company import chosen_sources
    from carelake.settings import Context, Settings
    from carelake.source_list import SourceList

    sources = SourceList.load(chosen_sources(home))
    settings = Settings.load(sources.path.parent / "carelake.yml")
    print_run_summary(Context(home, settings, sources))


def main() -> None:
    """Run the command line: errors meant for people become one line and an exit code."""
    try:
        prepare_environment(Home.from_environment())
        # without its standalone mode, typer gives an exit code back instead of exiting
        sys.exit(app(standalone_mode=False) or 0)
    except CarelakeError as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        typer.secho("interrupted", fg="red", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
