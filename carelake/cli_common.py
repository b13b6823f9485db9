"""What the command line's commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from carelake.shown import one_line, visible

if TYPE_CHECKING:
    from carelake.progress import Progress
    from carelake.settings import Context
    from carelake.steps import StepResult


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def say(text: str, *, err: bool = False) -> None:
    """Print a text that may hold what strangers wrote; it cannot drive the terminal."""
    typer.echo(visible(text), err=err)


def open_context() -> Context:
    """Home, settings and sources as the environment names them."""
    from carelake import pipeline

    return pipeline.open_context()


def ready() -> Context:
    """A context whose home is set up.

    Raises:
        ConfigError: it is not.
    """
    from carelake.errors import ConfigError

    ctx = open_context()
    if not ctx.home.is_initialised():
        raise ConfigError(f"{ctx.home.root}: not a Carelake home yet; run `carelake init`")
    return ctx


def user_name() -> str:
    """Who is logged in; nobody in a container whose user has no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def progress() -> Progress:
    """Where steps of this call report to."""
    from carelake.progress import Progress

    return Progress()


def perform(ctx: Context, name: str, **options: Any) -> StepResult:
    """Run one step of the pipeline and print what it says of itself."""
    from carelake import pipeline

    shown = progress()
    with shown.step(name) as note:
        result = pipeline.perform(ctx, name, shown, **options)
        note.text, note.failed = result.summary, result.outcome == "failed"
    for key, value in result.details.items():
        if isinstance(value, str):
            say(f"  {key}: {one_line(value)}")
    return result
