"""Commands about registered models: what there is, which is better, and a person's word."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from carelake.cli_common import perform, ready, say, user_name

models_app = typer.Typer(no_args_is_help=True, help="Registered models, and whose decides.")

Name = Annotated[str, typer.Argument(help="A model, as before_survey.")]
Version = Annotated[int | None, typer.Argument(help="Its version; the challenger without.")]
Reason = Annotated[str, typer.Option(prompt="Why", help="Why, for whoever reads this later.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your user name without.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@models_app.command("list")
def models_list(
    name: Annotated[str | None, typer.Argument(help="One model; all without.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every version: alias, what was decided on it, by whom and when, and its figure.

    Examples:

        carelake models list

        carelake models list before_survey --json
    """
    from carelake.reports.tables import print_rows
    from carelake.shown import safe_json
    from ml import api

    found = api.versions(ready().home, name)
    if as_json:
        typer.echo(safe_json([asdict(each) for each in found]))
        return
    if not found:
        say("no model is registered yet; `carelake train` makes the first")
        return
    names = ["model", "version", "alias", "decision", "by", "metric", "value", "when", "digest"]
    rows: list[list[Any]] = [
        [
            each.model_name,
            each.version,
            each.alias,
            each.decision,
            each.decided_by,
            each.metric,
            None if each.value is None else round(each.value, 3),
            each.decided_at[:16].replace("T", " "),
            each.model_digest[:8],
        ]
        for each in found
    ]
    print_rows(names, rows)


@models_app.command("compare")
def models_compare(
    name: Name,
    first: Annotated[int | None, typer.Argument(help="A version; the champion without.")] = None,
    second: Annotated[int | None, typer.Argument(help="Another; the challenger without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the challenger against the champion on the newest rows that neither learned from.

    Each difference comes with the 95 % interval of a paired bootstrap; who wins, wins beyond it.

    Examples:

        carelake models compare before_survey

        carelake models compare before_survey 1 3 --json
    """
    from carelake.reports.tables import print_rows
    from carelake.shown import safe_json
    from carelake.warehouse.build import features_folder
    from ml import api
    from ml.comparison import as_rows

    ctx = ready()
    found = api.compare(ctx.home, ctx.settings, features_folder(ctx), name, first, second)
    if as_json:
        typer.echo(safe_json(asdict(found)))
        return
    say(f"{name} on {found.n:,} rows ({found.rows})")
    heads = [f"version {found.first}", f"version {found.second}"]
    print_rows(["metric", *heads, "difference [95 %]", "better"], as_rows(found))


@models_app.command("promote")
def models_promote(name: Name, reason: Reason, version: Version = None, by: By = None) -> None:
    """Make a version the champion, whatever the gate said of it.

    The next score uses it, and later challengers must beat it.

    Example:

        carelake models promote before_survey 3 --reason "the survey changed in May"
    """
    _overrule("promote", name, version, reason, by)


@models_app.command("reject")
def models_reject(name: Name, reason: Reason, version: Version = None, by: By = None) -> None:
    """Put a version aside: the gate does not promote it any more.

    Example:

        carelake models reject before_survey 3 --reason "learned from a month of test surveys"
    """
    _overrule("reject", name, version, reason, by)


@models_app.command("rollback")
def models_rollback(name: Name, reason: Reason, by: By = None) -> None:
    """Make the former champion champion again, and put aside the one that took its place.

    The same words again do nothing more; to go further back, promote a version by its number.

    Example:

        carelake models rollback before_survey --reason "scores of phone calls make no sense"
    """
    _overrule("rollback", name, None, reason, by)


def features(
    as_of: Annotated[str, typer.Option(help="ISO date, its end; or time, UTC without an offset.")],
    out: Annotated[Path, typer.Option(help="A new folder to write into.")],
) -> None:
    """Write the features as they were known at a moment, for a notebook: three Parquet files.

    What the labels have become since then is in the features of the last build.

    Example:

        carelake features --as-of 2024-04-30 --out april
    """
    from carelake.warehouse.as_of import export_as_of

    done = export_as_of(ready(), as_of, out)
    say(
        f"{done.folder}: {done.n_conversations:,} conversations ({done.n_labelled:,} labelled), "
        f"{done.n_customers:,} customers as of {done.as_of.isoformat()}"
    )


def repeat_run(run_id: str) -> None:
    """Train what a run trained again, and say whether the same model came out; exit code 1 if not."""
    from ml import api

    ctx = ready()
    done = api.repeat_run(
        ctx.home, run_id, candidates=ctx.config_dir / "custom" / "candidates", report=say
    )
    if not done.is_same:
        say(
            f"{done.model_name}: another model came out ({done.model_digest[:12]}, not "
            f"{done.expected[:12]}); see run {done.run_id}",
            err=True,
        )
        raise typer.Exit(1)
    say(f"{done.model_name}: the same model came out ({done.model_digest[:12]}), run {done.run_id}")


def _overrule(verb: str, name: str, version: int | None, reason: str, by: str | None) -> None:
    who = by or user_name()
    options = {"verb": verb, "model": name, "version": version, "who": who, "reason": reason}
    done = perform(ready(), "overrule", **options)
    if verb != "reject" and done.outcome == "done":
        say("bring its scores to the marts with `carelake run`")
