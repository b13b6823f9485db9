"""Train challengers once a week, and when a champion has aged; a promotion starts a build."""

from __future__ import annotations

from typing import Any

from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    get_current_context,
    task,
)
from dag_parts import AGED, CHAMPION, DEFAULTS, START, WRITER_POOL, deadline, deadlines, step

TRIAGE = """
### Train the models

**What it does.** `train` fits challengers on the feature files of the last build and lets the gate
decide; on data, code and settings that were decided before it does nothing.
It runs every week, and when a build found that rows have moved away from those a champion was made
on (`aged_champion`). `promote` tells
`build_marts` about a new champion, and is skipped when the old one stays.

**Who is hurt.** Nobody at once: the champion goes on scoring. Over weeks its scores age, and with
them the order of the follow-up queue.

**First three things to look at**

1. The note of the run: what the gate decided and on which metric.
2. `model_decisions` in the marts, or the runs of this day in MLflow beside the baseline's.
3. "Too few labels" is no fault of this DAG: look at the ingest of the survey source.
"""


@task(task_id="promote", outlets=[CHAMPION], multiple_outputs=False)
def promote(decision: dict[str, Any]) -> dict[str, Any]:
    """Send the champion's event when the gate promoted a challenger."""
    from airflow.sdk.exceptions import AirflowSkipException

    if not decision.get("promoted"):
        raise AirflowSkipException(decision["summary"])
    get_current_context()["outlet_events"][CHAMPION].extra = decision
    return decision


with DAG(
    dag_id="train_models",
    description="Challengers against the champions; a promotion rebuilds the marts",
    doc_md=TRIAGE,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("@weekly", timezone="UTC"), assets=[AGED]
    ),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    deadline=deadline(deadlines().train, "ml-engineering", TRIAGE),
    default_args={**DEFAULTS, "owner": "ml-engineering"},
    tags=["models"],
):
    promote(step("train", pool=WRITER_POOL))
