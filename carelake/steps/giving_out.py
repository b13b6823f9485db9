"""From the warehouse to readers: publish, replicate, and tell who fell silent."""

from __future__ import annotations

import datetime as dt

from carelake.errors import RunFailed, WriterBusy
from carelake.progress import Progress
from carelake.settings import Context
from carelake.steps.result import StepResult


def publish(ctx: Context, progress: Progress, *, release: bool = False) -> StepResult:
    """Publish a new version if anything in the marts changed."""
    from carelake.warehouse import recorded
    from carelake.warehouse.connection import connect, write_lock
    from carelake.warehouse.publish import publish as publish_marts

    published = publish_marts(ctx, release=release)
    with write_lock(ctx.home, "publish", say=progress.say), connect(ctx.home) as con:
        recorded.note_built(con, ctx)
    outcome = "done" if published.published else "nothing_new"
    result = StepResult("publish", outcome, rows=published.n_rows, summary=published.message)
    result.details = {"version": published.version, "tables": published.n_tables}
    return result


def check_freshness(
    ctx: Context,
    progress: Progress,
    sources: list[str] | None = None,
    *,
    now: dt.datetime | None = None,
) -> StepResult:
    """Hold every source against its limits; readers are told of those past `block`.

    The marts of the other sources go out all the same, so this comes after them.

    Args:
        sources: whose silence fails this step; all without. Readers are told of all.
        now: the clock without.

    Raises:
        RunFailed: a chosen source has been quiet for longer than its `block`.
    """
    from carelake.warehouse.banner import quiet_banner, tell_quiet
    from carelake.warehouse.connection import write_lock
    from carelake.warehouse.freshness import banner_text, freshness

    moment = now or dt.datetime.now(dt.UTC)
    found = freshness(ctx, moment)
    text = banner_text(found)
    try:
        if text != quiet_banner(ctx.home):
            with write_lock(ctx.home, "check freshness", wait_seconds=5, say=progress.say):
                tell_quiet(ctx, text)
    except WriterBusy as busy:
        progress.say(f"readers are told by the next check: {busy}")
    names = {source.name for source in ctx.sources.select(sources)}
    chosen = [one for one in found if one.source in names and one.state != "unwatched"]
    result = StepResult("check_freshness", rows=len(chosen))
    n_fresh = sum(one.state == "fresh" for one in chosen)
    result.summary = f"{n_fresh} of {len(chosen)} watched sources are fresh"
    result.details = {one.source: one.message for one in chosen if one.state == "warn"}
    blocked = [f"{one.source} {one.message}" for one in chosen if one.state == "block"]
    if blocked:
        raise RunFailed(
            f"freshness: {'; '.join(blocked)}; see whether it still exports to the `path` of "
            "sources.yml; what the other sources brought is published"
        )
    return result


def replicate(
    ctx: Context, progress: Progress, replicas: list[str] | None = None, *, anew: bool = False
) -> StepResult:
    """Bring every replica to the published version; reads what is published, and no warehouse.

    One replica's fault leaves the others alone; it is in `details["failed"]`, and the next run tries
    again.
    """
    result = StepResult("replicate", "nothing_new", summary="no replica is set in carelake.yml")
    result.details = {"failed": {}}
    if not ctx.settings.replicas:
        return result
    from carelake.warehouse.replicas.replicate import replicate_all

    found = replicate_all(ctx, progress, replicas, anew=anew)
    failed = {each.replica: each.message for each in found if each.outcome == "failed"}
    if failed:
        result.outcome = "failed"
    elif any(each.outcome == "done" for each in found):
        result.outcome = "done"
    result.rows = sum(each.rows for each in found)
    result.summary = "; ".join(f"{each.replica}: {each.message}" for each in found)
    result.details = {
        "failed": failed,
        "versions": {each.replica: each.version for each in found},
        "travelled": {each.replica: each.travelled for each in found},
    }
    return result
