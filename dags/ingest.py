"""One DAG per source of `sources.yml`: files into the landing zone, then rows into raw tables."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, get_parsing_context
from dag_parts import (
    DEFAULTS,
    START,
    WINDOW,
    WRITER_POOL,
    deadline,
    deadlines,
    ingest_dag_id,
    landing,
    source_list,
    step,
    timetable,
)

TRIAGE = """
### Ingest `{name}`

**What it does.** `extract` copies what `{path}` holds now into the landing zone; `load` brings
every batch the ledger does not know yet into `raw.{table}`. Nothing new: `load` is skipped and no
event is sent, so nothing is built. Started by hand, or as a backfill, it takes only what came in the
window `since` to `until`; what is left out stays for the next run.

**Who is hurt.** Nobody at once: the published marts stay as they are, without what `{name}` last
said. The other sources go on. After a day, analysts and agents work with old news of this source.

**First three things to look at**

1. The note of the failed run: it says which step ended and why, in one line.
2. `carelake quarantine list`: a batch that is held or rejected says so there, with the reason.
3. The source itself: is `{path}` there, complete, in {encoding}, with the columns that
   `sources.yml` maps? After mending, trigger this DAG again; what was loaded stays loaded.
"""

MINUTES = deadlines().ingest
ONLY = get_parsing_context().dag_id
"""Set in a task: it needs its own DAG alone, and need not wait for the others."""

for source in source_list().sources:
    if ONLY not in (None, ingest_dag_id(source.name)):
        continue
    triage = TRIAGE.format(
        name=source.name, path=source.path, table=source.raw_table, encoding=source.encoding
    )
    with DAG(
        dag_id=ingest_dag_id(source.name),
        description=f"{source.name}: {source.kind} into raw.{source.raw_table}",
        doc_md=triage,
        schedule=timetable(source),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        params=WINDOW,
        deadline=deadline(MINUTES, source.owner, triage),
        default_args={
            **DEFAULTS,
            "owner": source.owner,
            "execution_timeout": timedelta(minutes=30),
        },
        tags=sorted({"ingest", source.raw_table, *source.tags}),
    ):
        loaded = step(
            "load",
            sources=[source.name],
            may_skip=True,
            outlet=landing(source.name),
            pool=WRITER_POOL,
        )
        step("extract", sources=[source.name], windowed=True) >> loaded
        if source.freshness:
            # also after a load that was skipped; a verdict, so not tried again
            loaded >> step(
                "check_freshness",
                sources=[source.name],
                is_gate=True,
                trigger_rule="none_failed",
            )
