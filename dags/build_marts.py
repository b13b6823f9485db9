"""From loaded batches to published marts, scores and the follow-up queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAny, PokeReturnValue, chain, get_current_context, task
from dag_parts import (
    AGED,
    CHAMPION,
    DEFAULTS,
    START,
    WRITER_POOL,
    deadline,
    deadlines,
    landing,
    look_for_ingests,
    settings,
    source_list,
    step,
)

TRIAGE = """
### Build the marts

**What it does.** When a source brought something new, or a better model was promoted, it waits
until the sources that are arriving have arrived, checks the new batches, builds up to the
features, scores (and trains first when there is no champion), builds the marts, plans follow-ups,
checks the marts and publishes them. With nothing new since the last good build it goes from
`has_news` to `replicate`, which brings the databases of `replicas` in carelake.yml, if there are any, to
what is published. When rows have moved away from those a champion was made on, `tell_aged` calls for a
training (`model_health` says what moved); the marts do not wait for it.

**Who is hurt.** Analysts, care managers and agents: they keep the marts of the last good build
until this one is green. Nobody reads half a build.

**First three things to look at**

1. The note of the failed run: which step ended, and its one-line reason.
2. `check_batches` or `check_marts` red: the failed expectations in Data Docs, or
   `carelake sql "from marts.data_quality_results where not success"`. A held batch holds only
   itself.
3. Any other step red: `carelake status` names who holds the warehouse and what was last published;
   then clear the failed task. Every step may run twice. Only `replicate` red: the marts are published, and one
   database is old; `carelake replicate` tries again at once, the next build anyway.
"""

POKE_SECONDS = 3
SOURCES = [source.name for source in source_list().sources]


@task.sensor(
    task_id="settle",
    mode="reschedule",
    poke_interval=POKE_SECONDS,
    timeout=timedelta(minutes=30).total_seconds(),
    execution_timeout=timedelta(minutes=5),
)
def settle() -> PokeReturnValue:
    """Sources that arrive together make one build; between two looks it holds no worker."""
    return look_for_ingests(SOURCES, settings().settle_seconds)


@task(task_id="tell_aged", outlets=[AGED], multiple_outputs=False)
def tell_aged(scored: dict[str, Any]) -> dict[str, Any]:
    """Call for a training when rows or answers have moved away from a champion."""
    from airflow.sdk.exceptions import AirflowSkipException

    aged = scored["details"].get("aged_anew")
    if not aged:
        raise AirflowSkipException("no champion has aged since the last training was called for")
    get_current_context()["outlet_events"][AGED].extra = {"models": aged}
    return {"step": "tell_aged", "outcome": "done", "summary": f"aged: {', '.join(aged)}"}


with DAG(
    dag_id="build_marts",
    description="New batches or a new champion: check, build, score, plan, publish",
    doc_md=TRIAGE,
    schedule=AssetAny(*(landing(name) for name in SOURCES), CHAMPION),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    deadline=deadline(deadlines().build, str(DEFAULTS["owner"]), TRIAGE),
    default_args=DEFAULTS,
    tags=["build", "marts"],
):
    scored = step("score", pool=WRITER_POOL)
    # beside the build: the marts do not wait for a training
    tell_aged(scored)
    chain(
        settle(),
        step("has_news", may_skip=True, pool=WRITER_POOL),
        step("check_batches", is_gate=True, pool=WRITER_POOL),
        step("build_features", pool=WRITER_POOL),
        scored,
        step("build_marts", pool=WRITER_POOL),
        step("plan_follow_ups", pool=WRITER_POOL),
        step("check_marts", is_gate=True, pool=WRITER_POOL),
        step("publish", may_skip=True, pool=WRITER_POOL),
        # also when nothing new was published: a replica that failed is tried again
        step("replicate", may_skip=True, trigger_rule="none_failed"),
    )
