"""From the source systems into the warehouse: extract, load, and whether there is news."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from carelake.attempts import note_attempt
from carelake.progress import Progress
from carelake.settings import Context
from carelake.steps.result import StepResult


def extract(
    ctx: Context,
    progress: Progress,
    sources: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> StepResult:
    """Land what is new. One source's fault leaves the others alone, and is raised at the end.

    Args:
        sources: names; all without.
        since: take only what the source has from this ISO time on.
        until: ... and before this one.
    """
    from carelake.sources.counting import count_if_due
    from carelake.sources.extract import extract_source
    from carelake.window import Window

    window = Window.parse(since, until)
    result = StepResult("extract", outcome="nothing_new")
    failed: dict[str, str] = {}
    chosen = ctx.sources.select(sources)
    for i, source in enumerate(chosen):
        progress.bar(f"extract {source.name}", i, len(chosen))
        began = time.monotonic()
        found = extract_source(
            source, ctx.config_dir, ctx.home.landing, window, secrets=ctx.home.renewed_secrets
        )
        seconds = round(time.monotonic() - began, 3)
        note_attempt(ctx.home.state, asdict(found) | asdict(window) | {"seconds": seconds})
        result.rows += found.n_files
        result.parts += _extracted(asdict(found))
        result.details[source.name] = found.message
        if found.outcome == "failed":
            failed[source.name] = found.message
            continue
        uncounted = count_if_due(
            source,
            ctx.config_dir,
            ctx.home.landing,
            ctx.home.counts,
            secrets=ctx.home.renewed_secrets,
        )
        if uncounted:
            result.details[source.name] += f"; {uncounted}"
        if found.outcome == "extracted":
            result.outcome = "done"
    landed = f"{result.rows} files from {len(chosen)} sources" if result.rows else "nothing new"
    result.summary = landed + "".join(f"; {name}: {why}" for name, why in failed.items())
    result.details["failed"] = failed
    return result


def _extracted(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What the journal says of one source's extract: the attempt, and each batch it brought."""
    about = {"source": found["source"], "outcome": found["outcome"]}
    said = {"files": found["n_files"], "bytes": found["n_bytes"]}
    batches = [{"event": "batch", "batch": batch, **about} for batch in found["batches"]]
    return [{"event": "source", **about, **said}, *batches]


def load(ctx: Context, progress: Progress, sources: list[str] | None = None) -> StepResult:
    """Load every landed batch that the ledger lacks."""
    from carelake.warehouse.load import load as load_batches

    batches = load_batches(ctx, sources, progress)
    raw, rejects = sum(b.n_raw for b in batches), sum(b.n_rejects for b in batches)
    result = StepResult("load", "done" if batches else "nothing_new", rows=raw)
    result.summary = (
        f"{len(batches)} batches, {raw:,} rows, {rejects:,} rejects" if batches else "nothing new"
    )
    for batch in batches:
        result.parts.append(
            {
                "event": "batch",
                "source": batch.source,
                "batch": batch.batch_id,
                "outcome": "held" if batch.held_reason else "loaded",
                "rows": batch.n_raw,
                "rejects": batch.n_rejects,
            }
        )
        notes = f"{batch.n_raw:,} rows, {batch.n_rejects:,} rejects"
        if batch.missing:
            notes += f"; columns missing: {', '.join(batch.missing)}"
        if batch.new:
            notes += f"; new columns: {', '.join(batch.new)}"
        result.details[batch.batch_id] = notes + (
            f"; held: {batch.held_reason}" if batch.held_reason else ""
        )
    return result


def has_news(ctx: Context, progress: Progress) -> StepResult:
    """Whether a build would give anything else than what was published last."""
    from carelake.warehouse import recorded
    from carelake.warehouse.banner import holds_back
    from carelake.warehouse.connection import connect, write_lock
    from carelake.warehouse.publish import current_version

    with write_lock(ctx.home, "has_news", say=progress.say), connect(ctx.home) as con:
        recorded.record_decisions(con, ctx.home.decisions)
        recorded.record_failed_extracts(con, ctx.home.state)
        is_new = recorded.has_news(con, ctx)
    if is_new or current_version(ctx.home) is None or holds_back(ctx.home):
        return StepResult("has_news", "done", summary="there is something to build")
    return StepResult("has_news", "nothing_new", summary="nothing new since the last publication")
