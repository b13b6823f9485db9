"""From what was loaded to marts, with gates, models and follow-ups."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any, Literal

from carelake.errors import RunFailed
from carelake.progress import Progress
from carelake.settings import Context
from carelake.steps.result import StepResult


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
    """Train the models on the newest features and let the gate decide; not while a batch is held."""
    from carelake.warehouse import recorded
    from carelake.warehouse.build import features_folder
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    folder = features_folder(ctx)
    with write_lock(ctx.home, "find held batches", say=progress.say), connect(ctx.home) as con:
        held = recorded.held_batches(con)
    trained = api.train(
        ctx.home,
        ctx.settings,
        folder,
        force=force,
        held=held,
        candidates=ctx.config_dir / "custom" / "candidates",
        report=progress.say,
    )
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
    from ml.results import AWAITED

    notes: list[str] = []
    champions = api.has_champion(ctx.home)
    if not all(champions[model] for model in AWAITED):
        notes.append(train(ctx, progress).summary)
    features = features_folder(ctx)
    scored = api.score(ctx.home, ctx.settings, features, report=progress.say)
    values = api.score_values(ctx.home, features, report=progress.say)
    n_texts = _score_texts(ctx, progress)
    health = api.watch(ctx.home, ctx.settings, features, scored, report=progress.say)
    aged = sorted({f"{row.model_name} {row.model_version}" for row in health if row.state == "act"})
    with write_lock(ctx.home, "record scores", say=progress.say), connect(ctx.home) as con:
        recorded.record_health(con, [asdict(row) for row in health])
        told = ", ".join(aged)
        # one call per champion: if training did not help, another build's will not either
        aged_anew = aged if told != recorded.get_state(con, "aged_told") else []
        recorded.set_state(con, "aged_told", told)
        recorded.record_scores(
            con,
            {
                "satisfaction_scores": scored.satisfaction_scores,
                "comment_scores": scored.comment_scores,
                "segment_scores": scored.segment_scores,
                "value_scores": values,
            },
        )
        recorded.record_segment_changes(con)
        recorded.record_decisions(con, ctx.home.decisions)  # one that was cut may have left them
        recorded.note_champions(con)
    result = StepResult("score", rows=scored.n_conversations + scored.n_customers)
    result.summary = (
        f"{scored.n_conversations:,} conversations, {scored.n_customers:,} customers, "
        f"{n_texts:,} new texts"
    )
    notes += [f"{model}: {why}" for model, why in scored.missing.items()]
    result.details = {
        "versions": scored.versions,
        "notes": notes,
        "aged": aged,
        "aged_anew": aged_anew,
    }
    return result


def _score_texts(ctx: Context, progress: Progress) -> int:
    """Score the customers' texts that the champion of `sentiment` has not scored yet; gives how many.

    Part by part: a run that is cut in millions of texts goes on where it was.
    """
    from carelake.warehouse import sentiment
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    with api.turn_of_texts(ctx.home, report=progress.say):
        champion = api.sentiment_champion(ctx.home)
        with write_lock(ctx.home, "find new texts", say=progress.say), connect(ctx.home) as con:
            sentiment.forget(con, champion)
        return 0 if champion is None else _score_new_texts(ctx, progress)


def _score_new_texts(ctx: Context, progress: Progress) -> int:
    """Write, score and record texts by parts, in this home's turn for it; gives how many."""
    from carelake.warehouse import sentiment
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    texts, scores = (
        ctx.home.scores / f"sentiment_{name}.parquet.part" for name in ("texts", "scores")
    )
    texts.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    try:
        while True:
            with (
                write_lock(ctx.home, "find new texts", say=progress.say),
                connect(ctx.home, **ctx.settings.duckdb) as con,
            ):
                found = sentiment.write_unscored(con, texts)
            if found == 0:
                break
            done += api.score_texts(ctx.home, texts, scores, report=progress.say)
            with (
                write_lock(ctx.home, "record sentiment", say=progress.say),
                connect(ctx.home) as con,
            ):
                sentiment.record(con, scores)
            if found < sentiment.PART:
                break
    finally:
        texts.unlink(missing_ok=True)
        scores.unlink(missing_ok=True)
    return done


def overrule(
    ctx: Context,
    progress: Progress,
    verb: Literal["promote", "reject", "rollback"],
    model: str,
    version: int | None,
    who: str,
    reason: str,
) -> StepResult:
    """Take a person's decision on a version of a model, and record it."""
    from carelake.warehouse import recorded
    from carelake.warehouse.connection import connect, write_lock
    from ml import api

    taken, is_new = api.overrule(ctx.home, verb, model, version, who, reason, report=progress.say)
    with write_lock(ctx.home, "record decisions", say=progress.say), connect(ctx.home) as con:
        recorded.record_decisions(con, ctx.home.decisions)
    what = taken.decision.replace("_", " ")
    to = " to" if verb == "rollback" else ""
    result = StepResult("overrule", "done" if is_new else "nothing_new", rows=int(is_new))
    result.summary = f"{model} {what}{to} version {taken.model_version}" + (
        "" if is_new else ": decided so before"
    )
    result.details = {"decision": taken.decision_id, "by": taken.decided_by}
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
