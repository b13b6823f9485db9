"""What each step does; in which order they run is in `carelake.pipeline`.

What a step needs is imported inside it: a command, or a task of a DAG, takes one step only.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from carelake.attempts import note_attempt
from carelake.errors import RunFailed, WriterBusy
from carelake.progress import Progress
from carelake.settings import Context


@dataclass
class StepResult:
    """What a step did; small enough to be read in a user interface.

    `outcome` is 'done', 'nothing_new' or 'failed'; `summary` is one line; `parts` are lines of the
    journal about its sources and batches.
    """

    step: str
    outcome: str = "done"
    rows: int = 0
    seconds: float = 0.0
    summary: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)


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


def check(
    ctx: Context, progress: Progress, layer: str = "marts", *, docs: bool = True
) -> StepResult:
    """Run every suite of a layer; a blocking failure holds a batch (raw) or stops publishing."""
    from carelake.warehouse import recorded
    from carelake.warehouse.connection import connect, write_lock
    from expectations.gate import check_layer

    with (
        write_lock(ctx.home, f"check {layer}", say=progress.say),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        moment = dt.datetime.now(dt.UTC)
        custom = ctx.config_dir / "custom" / "expectations"
        results = check_layer(
            layer,
            lambda query: con.execute(query).df(),
            ctx.home.gx,
            ctx.home.data_docs,
            custom if custom.is_dir() else None,
            docs,
            run_id=ctx.run_id,
            checked_at=moment,
        )
        recorded.record_checks(con, results)
        blocking = [r for r in results if r.is_blocking_failure]
        warned = [r for r in results if not r.success and r.severity == "warning"]
        if layer == "raw":
            reasons = {r.batch_id: _reason(r) for r in reversed(blocking) if r.batch_id}
            recorded.admit_batches(con, reasons, moment)
        else:
            recorded.set_state(con, f"blocked_{layer}", _reason(blocking[0]) if blocking else "")
            reasons = {}
        _sum_up_blocks(con)
    name = "check_batches" if layer == "raw" else f"check_{layer}"
    result = StepResult(name, rows=len(results))
    passed = len(results) - len(blocking) - len(warned)
    result.summary = f"{passed} passed, {len(warned)} warnings, {len(blocking)} blocking"
    result.details = {"warnings": [_reason(r) for r in warned], "held": reasons}
    if blocking and layer != "raw":
        why = f"gate {layer}: {_reason(blocking[0])}"
        raise RunFailed(f"{why}; what was published before stays", public=why)
    return result


def _sum_up_blocks(con: Any) -> None:
    con.execute(
        """
        insert or replace into ops.state
        select 'publish_blocked', coalesce(string_agg(value, '; ' order by key), '')
        from ops.state where key like 'blocked\\_%' escape '\\' and value <> ''
        """
    )


def _reason(result: Any) -> str:
    found = result.details or f"{result.expectation} (found {result.observed})"
    names = result.column_name and not found.startswith(result.column_name)
    where = f" {result.column_name}" if names else ""
    return f"{result.suite}:{where} {found}"


def build(ctx: Context, progress: Progress, layer: str = "features") -> StepResult:
    """Run dbt for a layer; after the features, hand them to the models as files."""
    from carelake.warehouse import build as dbt

    built = dbt.build(ctx, layer, progress)
    result = StepResult(f"build_{layer}", rows=built.n_models)
    result.summary = f"{built.n_models} models, {built.n_tests} tests, {built.n_warnings} warnings"
    result.details["slowest"] = {name: round(seconds, 2) for name, seconds in built.slowest}
    if layer == "features":
        result.details["features"] = dbt.export_features(ctx).name
        result.details |= _reconcile(ctx)
    return result


def _reconcile(ctx: Context) -> dict[str, Any]:
    """What sources say they have, held against what the build typed of them."""
    from carelake.warehouse.connection import connect, write_lock
    from carelake.warehouse.reconciliation import reconcile

    with write_lock(ctx.home, "reconcile"), connect(ctx.home, **ctx.settings.duckdb) as con:
        found = {one.source_name: one.explanation for one in reconcile(con, ctx)}
    return {"reconciled": found} if found else {}


def train(ctx: Context, progress: Progress, *, force: bool = False) -> StepResult:
    """Train both models on the newest features and let the gate decide."""
    from carelake.warehouse import recorded
    from carelake.warehouse.build import features_folder
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    folder = features_folder(ctx)
    trained = api.train(ctx.home, ctx.settings, folder, force=force, report=progress.say)
    with write_lock(ctx.home, "record decisions", say=progress.say), connect(ctx.home) as con:
        recorded.record_decisions(con, ctx.home.decisions)
    result = StepResult(
        "train", "done" if trained.trained else "nothing_new", rows=len(trained.decisions)
    )
    result.summary = "; ".join(
        f"{d.model_name} {d.decision}: {d.reason}" for d in trained.decisions
    )
    result.details = {
        "promoted": trained.promoted,
        "runs": {d.model_name: d.run_id for d in trained.decisions},
    }
    return result


def score(ctx: Context, progress: Progress) -> StepResult:
    """Score with the champions; trains first where there is none."""
    from carelake.warehouse import recorded
    from carelake.warehouse.build import features_folder
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    notes: list[str] = []
    if not all(api.has_champion(ctx.home).values()):
        notes.append(train(ctx, progress).summary)
    scored = api.score(ctx.home, ctx.settings, features_folder(ctx), report=progress.say)
    with write_lock(ctx.home, "record scores", say=progress.say), connect(ctx.home) as con:
        recorded.record_scores(
            con,
            {
                "satisfaction_scores": scored.satisfaction_scores,
                "segment_scores": scored.segment_scores,
            },
        )
        recorded.note_champions(con)
    result = StepResult("score", rows=scored.n_conversations + scored.n_customers)
    result.summary = f"{scored.n_conversations:,} conversations, {scored.n_customers:,} customers"
    notes += [f"{model}: {why}" for model, why in scored.missing.items()]
    result.details = {"versions": scored.versions, "notes": notes}
    return result


def plan_follow_ups(ctx: Context, progress: Progress) -> StepResult:
    """Decide who is contacted next, why, by whom and until when."""
    from carelake.followup.planner import plan
    from carelake.followup.rules import load_rules
    from carelake.warehouse.connection import connect, write_lock

    rules = load_rules(ctx.config_dir)
    with (
        write_lock(ctx.home, "followup plan", say=progress.say),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        row = con.execute("select as_of from intermediate.int_as_of").fetchone()
        if row is None or row[0] is None:
            return StepResult("plan_follow_ups", summary="no data to plan on")
        planned = plan(con, rules, as_of=row[0])
    result = StepResult("plan_follow_ups", rows=planned.n_planned)
    result.summary = (
        f"{planned.n_planned} planned for {len(planned.by_owner)} owners, {planned.n_kept} kept, "
        f"{planned.n_waiting} wait, {planned.n_do_not_contact} do not want to be contacted"
    )
    result.details = {"by_rule": planned.by_rule, "by_owner": planned.by_owner}
    return result


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
    if not (removed.n_rows or removed.n_rejects or removed.n_files):
        result.outcome = "nothing_new"
    result.summary = (
        f"{removed.n_rows:,} rows, texts of {removed.n_rejects:,} rejects, {removed.n_files:,} landed "
        f"files ({removed.n_bytes / 1e6:,.1f} MB) {'would go' if dry_run else 'removed'}"
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


STEPS: dict[str, Callable[..., StepResult]] = {
    "extract": extract,
    "load": load,
    "has_news": has_news,
    "check_batches": lambda ctx, progress: check(ctx, progress, "raw", docs=False),
    "build_features": lambda ctx, progress: build(ctx, progress, "features"),
    "score": score,
    "train": train,
    "build_marts": lambda ctx, progress: build(ctx, progress, "marts"),
    "plan_follow_ups": plan_follow_ups,
    "check_marts": lambda ctx, progress: check(ctx, progress, "marts"),
    "publish": publish,
    "check_freshness": check_freshness,
    "replicate": replicate,
    "drop_derived": drop_derived,
    "apply_retention": apply_retention,
    "tidy": tidy,
}
