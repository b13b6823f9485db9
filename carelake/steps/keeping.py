"""What keeps a home in order."""

from __future__ import annotations

from dataclasses import asdict

from carelake.progress import Progress
from carelake.settings import Context
from carelake.steps.result import StepResult


def drop_derived(ctx: Context, progress: Progress) -> StepResult:
    """Drop all that dbt built; what is recorded stays, and the build that follows begins anew."""
    from carelake.warehouse.rebuild import drop_derived as drop

    n_tables = drop(ctx)
    return StepResult("drop_derived", rows=n_tables, summary=f"{n_tables} tables dropped")


def apply_retention(ctx: Context, progress: Progress, *, dry_run: bool = False) -> StepResult:
    """Remove what the build left out for its age, from raw and from the landing zone."""
    from carelake.keeping.retention import apply

    removed = apply(ctx, dry_run=dry_run, say=progress.say)
    result = StepResult("apply_retention", rows=removed.n_rows)
    if not ctx.settings.retention:
        result.outcome, result.summary = "nothing_new", "no limits: everything is kept"
        return result
    folders = removed.n_feature_folders
    if not (removed.n_rows or removed.n_rejects or removed.n_files or folders):
        result.outcome = "nothing_new"
    result.summary = (
        f"{removed.n_rows:,} rows, texts of {removed.n_rejects:,} rejects, {removed.n_files:,} landed "
        f"files ({removed.n_bytes / 1e6:,.1f} MB)"
        + (f", feature files of {folders:,} trainings" if folders else "")
        + (" would go" if dry_run else " removed")
    )
    result.details = {name: f"{count:,} rows" for name, count in removed.by_entity.items()}
    return result


def tidy(ctx: Context, progress: Progress, *, dry_run: bool = False) -> StepResult:
    """Make room: pack old landed files, forget old runs, logs and leftovers."""
    from carelake.keeping.tidy import tidy as make_room

    freed = make_room(ctx, dry_run=dry_run, say=progress.say)
    count, size = sum(each.n for each in freed), sum(each.n_bytes for each in freed)
    result = StepResult("tidy", "done" if count else "nothing_new", rows=count)
    result.summary = f"{size / 1e6:,.1f} MB {'would be' if dry_run else ''} freed, {count:,} things"
    result.summary = result.summary.replace("  ", " ")
    result.details["freed"] = [asdict(each) for each in freed]
    return result
