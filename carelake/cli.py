"""The `carelake` command; what is heavy is imported inside the commands, so that help is quick."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from carelake import (
    cli_data,
    cli_doctor,
    cli_identity,
    cli_keeping,
    cli_models,
    cli_needs,
    cli_sample,
    cli_share,
    cli_sources,
    cli_webhooks,
)
from carelake.cli_common import perform, progress, ready, say

STOPPED = 130
GOES_ON = "carelake: stopped; run it again, it goes on where it was"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Hear your customers: every channel into one warehouse, models, and a follow-up list.

Examples:

    carelake sample demo && export CARELAKE_SOURCES=demo/sources.yml

    carelake run

    carelake sql "select * from follow_up_queue order by rank limit 5"

Everything lies under `CARELAKE_HOME` (default `var/`); `CARELAKE_SOURCES` names the source list.
""",
)
followup_app = typer.Typer(no_args_is_help=True, help="The list of customers to contact.")
app.add_typer(cli_sources.source_app, name="source")
app.add_typer(cli_webhooks.webhooks_app, name="webhooks")
app.add_typer(cli_data.quarantine_app, name="quarantine")
app.add_typer(cli_data.batch_app, name="batch")
app.add_typer(followup_app, name="followup")
app.add_typer(cli_models.models_app, name="models")
app.add_typer(cli_needs.needs_app, name="needs")
app.add_typer(cli_identity.identity_app, name="identity")
app.add_typer(cli_keeping.retention_app, name="retention")

Sources = Annotated[list[str] | None, typer.Argument(help="Names from sources.yml; all without.")]


class Layer(StrEnum):
    """Layers that have expectation suites."""

    raw = "raw"
    staging = "staging"
    features = "features"
    marts = "marts"


class BuildLayer(StrEnum):
    """What `build` may be restricted to."""

    features = "features"
    marts = "marts"
    all = "all"


@app.command()
def init(
    sources: Annotated[Path | None, typer.Option(help="Source list this home remembers.")] = None,
) -> None:
    """Make a home: folders, the secret behind every key, empty tables.

    Examples:

        carelake init

        carelake init --sources demo/sources.yml
    """
    import os

    from carelake.pipeline import open_context
    from carelake.warehouse.setup import initialise

    if sources is not None:
        os.environ["CARELAKE_SOURCES"] = str(sources)
    ctx = open_context()
    is_new = initialise(ctx)
    made = "made" if is_new else "already there:"
    typer.echo(f"{made} {ctx.home.root} · sources from {ctx.sources.path}")


app.command()(cli_sample.sample)


@app.command()
def extract(
    sources: Sources = None,
    since: Annotated[
        str | None, typer.Option(help="Only what came at this ISO time or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only what came before this ISO time.")] = None,
) -> None:
    """Bring what is new into the landing zone.

    Examples:

        carelake extract

        carelake extract crm_contacts web_chat

        carelake extract call_records --since 2024-05-01 --until 2024-06-01
    """
    ctx = ready()
    result = perform(ctx, "extract", sources=sources, since=since, until=until)
    if result.details["failed"]:
        raise typer.Exit(1)


@app.command()
def load(sources: Sources = None) -> None:
    """Load what was landed into the warehouse; what cannot be read goes to the quarantine.

    Example:

        carelake load
    """
    perform(ready(), "load", sources=sources)


@app.command()
def build(
    layer: Annotated[BuildLayer, typer.Argument(help="features, marts or all")] = BuildLayer.all,
) -> None:
    """Clean and model with dbt.

    Examples:

        carelake build

        carelake build marts
    """
    ctx = ready()
    if layer is not BuildLayer.marts:
        perform(ctx, "check_batches")  # only what the gate let in is built
    for name in ("features", "marts"):
        if layer.value in (name, "all"):
            perform(ctx, f"build_{name}")


@app.command()
def train(
    force: Annotated[
        bool, typer.Option(help="Train although these data were decided on, or a batch is held.")
    ] = False,
    from_run: Annotated[
        str | None, typer.Option(help="Repeat this MLflow run instead; nothing is decided.")
    ] = None,
) -> None:
    """Train the models on the newest features; the gate decides who becomes champion.

    Examples:

        carelake train

        carelake train --from-run 8f14e45fceea167a5a36dedd4bea2543
    """
    if from_run is not None:
        cli_models.repeat_run(from_run)
        return
    perform(ready(), "train", force=force)


@app.command()
def score() -> None:
    """Score every conversation and customer with the champions; trains first if there is none.

    Example:

        carelake score
    """
    perform(ready(), "score")


@followup_app.command("plan")
def followup_plan() -> None:
    """Fill the follow-up queue by the rules of followup.yml.

    Example:

        carelake followup plan
    """
    perform(ready(), "plan_follow_ups")


@app.command()
def check(layer: Annotated[Layer, typer.Argument(help="raw, staging, features or marts")]) -> None:
    """Run every expectation suite of a layer.

    Example:

        carelake check marts
    """
    from carelake.steps import building

    ctx = ready()
    shown = progress()
    with shown.step(f"check {layer.value}") as note:
        result = building.check(ctx, shown, layer.value)
        note.text = result.summary
    for line in result.details["warnings"]:
        say(f"warning  {line}")
    for batch, line in result.details["held"].items():
        say(f"held     {batch}: {line}")
    typer.echo(f"pages: {ctx.home.data_docs / 'index.html'}")


@app.command()
def publish(
    release: Annotated[bool, typer.Option(help="End the hold that a rollback left.")] = False,
) -> None:
    """Publish the marts as a new version, unless nothing changed.

    Examples:

        carelake publish

        carelake publish --release
    """
    perform(ready(), "publish", release=release)


@app.command()
def rollback() -> None:
    """Make the version before the current one current, and hold publishing.

    Example:

        carelake rollback
    """
    from carelake.warehouse.publish import rollback as roll_back

    say(roll_back(ready()).message)


@app.command()
def run(sources: Sources = None) -> None:
    """Everything in order: extract, load, gates, models, marts, follow-ups, publish.

    Examples:

        carelake run

        carelake run web_chat
    """
    from carelake import pipeline
    from carelake.reports.summary import print_run_summary
    from carelake.warehouse.setup import initialise

    ctx = pipeline.open_context()
    ctx.sources.select(sources)
    initialise(ctx)
    results = pipeline.run_all(ctx, progress(), sources)
    print_run_summary(ctx)
    seconds = sum(result.seconds for result in results)
    failed = results[0].details["failed"]
    for name, why in failed.items():
        say(f"warning: source {name} gave nothing: {why}", err=True)
    trouble = f", {len(failed)} sources gave nothing" if failed else ""
    say(f"done in {seconds:.0f} s{trouble}; {results[-1].summary}")
    is_shared = not cli_share.tell_failed(results[-1])
    # last, so that the others' marts are out when one that fell silent fails it
    pipeline.perform(ctx, "check_freshness", progress(), sources=sources)
    if not is_shared:
        raise typer.Exit(1)


@app.command()
def rebuild() -> None:
    """Drop everything derived and build it again from what was loaded, up to the marts.

    The same data give the same marts; then nothing is published. Readers are not disturbed.

    Example:

        carelake rebuild
    """
    from carelake import pipeline

    results = pipeline.run_all(ready(), progress(), anew=True)
    seconds = sum(result.seconds for result in results)
    typer.echo(f"done in {seconds:.0f} s; {results[-1].summary}")
    if cli_share.tell_failed(results[-1]):
        raise typer.Exit(1)


for command in (
    cli_data.status, cli_data.sql, cli_data.fingerprint, cli_data.diff, cli_doctor.doctor, cli_keeping.backup,
    cli_keeping.restore, cli_keeping.tidy, cli_models.features, cli_share.replicate, cli_share.export,
):  # fmt: skip
    app.command()(command)


def main() -> None:
    """Run the command line; every error is one line, the unforeseen ones name their log."""
    from carelake.cli_ends import first_line, keep_traceback, note_command
    from carelake.settings import Home
    from carelake.trouble import as_told

    began = time.monotonic()
    try:
        app()
    except SystemExit as end:  # how typer ends, well or not
        note_command(app, began, 0 if end.code is None else end.code)
        if end.code == STOPPED:  # typer says nothing of it
            typer.echo(GOES_ON, err=True)
        raise
    except Exception as error:
        note_command(app, began, getattr(error, "exit_code", 1), error)
        told = as_told(error, Home.from_environment(), " ".join(sys.argv[1:2]))
        if told is None:
            line = f"{type(error).__name__}: {first_line(error)}; {keep_traceback(error)}"
            say(f"carelake: {line}", err=True)
            sys.exit(1)
        say(f"carelake: {told}", err=True)
        sys.exit(told.exit_code)
    except KeyboardInterrupt:
        note_command(app, began, STOPPED)
        typer.echo(GOES_ON, err=True)
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
