"""Once a week: what retention no longer allows is removed, and room is made."""

from __future__ import annotations

from airflow.sdk import DAG, chain
from dag_parts import DEFAULTS, START, WRITER_POOL, deadline, deadlines, step

TRIAGE = """
### Housekeeping

**What it does.** `apply_retention` removes rows and landed files that are older than `retention:`
in `carelake.yml` allows and that the last build left out already. `tidy` packs old landed files
and removes old training runs, Airflow runs and logs. Both do nothing when there is nothing.

**Who is hurt.** Nobody at once. Left red for weeks, the disk fills up, and data stay longer than
the company promised.

**First three things to look at**

1. The note of the failed run: which of the two ended, and its one-line reason.
2. "were not built under these limits yet": `build_marts` is red or has not run since the limits
   changed; mend that one first.
3. `carelake tidy --dry-run` says what would be freed, kind by kind; `carelake status` names who
   holds the warehouse.
"""

with DAG(
    dag_id="housekeeping",
    description="Retention, and room on the disk",
    doc_md=TRIAGE,
    schedule="0 4 * * 0",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    deadline=deadline(deadlines().housekeeping, str(DEFAULTS["owner"]), TRIAGE),
    tags=["keeping"],
):
    chain(
        step("apply_retention", pool=WRITER_POOL),
        step("tidy", pool=WRITER_POOL),
    )
