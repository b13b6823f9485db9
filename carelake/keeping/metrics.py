"""Metrics: `published/metrics.prom`, for Prometheus' textfile collector or any scraper of files.

Rewritten whole after every step. Steps are told from `state/steps.json`, what was loaded from
`ops.duckdb`, so neither waits for a build that holds the warehouse.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.settings import Home

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

NAME = "metrics.prom"
DISK_SECONDS = 300
"""How long the sizes of folders are good: a large landing zone takes a second to walk."""
FOLDERS = ("landing", "published", "mlflow", "ml", "airflow", "dbt", "gx", "data_docs", "logs")


def note_step(
    home: Home, step: str, outcome: str, rows: int, seconds: float, moment: dt.datetime
) -> None:
    """Remember a step's last attempt, and rewrite the metrics; never an error of the step's."""
    with contextlib.suppress(OSError), _steps(home) as steps:
        said = steps.setdefault(step, {"failures": 0, "runs": 0})
        said |= {"outcome": outcome, "rows": rows, "seconds": round(seconds, 3)}
        said |= {"ended_at": moment.timestamp(), "runs": said["runs"] + 1}
        if outcome == "failed":
            said["failures"] += 1
        else:
            said["succeeded_at"] = moment.timestamp()
        _refresh_disk(home, steps)
        write_metrics(home, steps)


@contextmanager
def _steps(home: Home) -> Iterator[dict[str, Any]]:
    """What is remembered, written back when the block ends; one process at a time."""
    home.state.mkdir(parents=True, exist_ok=True)
    path = home.state / "steps.json"
    lock = os.open(home.state / "steps.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            steps = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            steps = {}
        yield steps
        draft = path.with_name(path.name + ".part")
        draft.write_text(json.dumps(steps), encoding="utf-8")
        draft.rename(path)
    finally:
        os.close(lock)


def _refresh_disk(home: Home, steps: dict[str, Any]) -> None:
    known = steps.get("disk", {})
    if time.time() - known.get("at", 0) < DISK_SECONDS:
        return
    sizes = {name: folder_bytes(home.root / name) for name in FOLDERS}
    sizes["warehouse"] = home.warehouse.stat().st_size if home.warehouse.exists() else 0
    steps["disk"] = {"at": time.time(), "bytes": sizes}


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; a file with several names counts once."""
    total, seen, waiting = 0, set(), [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink > 1:
                    if found.st_ino in seen:
                        continue
                    seen.add(found.st_ino)
                total += found.st_size
    return total


def write_metrics(home: Home, steps: dict[str, Any]) -> Path:
    """Write the file anew; a reader sees the old one or the new one."""
    from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

    disable_created_metrics()  # type: ignore[no-untyped-call]  # a file written anew does not know when a counter began
    registry = CollectorRegistry()
    steps = dict(steps)
    disk = steps.pop("disk", {}).get("bytes", {})
    _tell_steps(registry, steps)
    _tell(registry, "carelake_disk_bytes", "Bytes of a part of the home", "part", disk)
    _tell_published(registry, home)
    _tell_sources(registry, home)
    _tell_loaded(registry, home)
    path = home.published / NAME
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(generate_latest(registry))
    draft.chmod(0o644)
    draft.rename(path)
    return path


def _tell(
    registry: CollectorRegistry, name: str, what: str, label: str, values: dict[str, float]
) -> None:
    from prometheus_client import Gauge

    gauge = Gauge(name, what, [label], registry=registry)
    for key, value in values.items():
        gauge.labels(key).set(value)


def _tell_steps(registry: CollectorRegistry, steps: dict[str, Any]) -> None:
    for key, name, what in (
        ("succeeded_at", "last_success_timestamp_seconds", "When the step last succeeded"),
        ("ended_at", "last_attempt_timestamp_seconds", "When the step last ended"),
        ("seconds", "duration_seconds", "How long its last attempt took"),
        ("rows", "rows", "Rows (or files, models, tests) of its last attempt"),
    ):
        values = {step: said[key] for step, said in steps.items() if key in said}
        _tell(registry, f"carelake_step_{name}", what, "step", values)
    failed = {step: float(said["outcome"] == "failed") for step, said in steps.items()}
    _tell(registry, "carelake_step_failed", "1 when its last attempt failed", "step", failed)
    from prometheus_client import Counter

    counter = Counter("carelake_step_failures", "Failed attempts", ["step"], registry=registry)
    for step, said in steps.items():
        counter.labels(step).inc(said["failures"])


def _tell_published(registry: CollectorRegistry, home: Home) -> None:
    from prometheus_client import Gauge

    path = home.published / "current" / "publication.json"
    if not path.exists():
        return
    said = json.loads(path.read_text(encoding="utf-8"))
    version = Gauge("carelake_published_version", "Version readers see", registry=registry)
    version.set(said["version"])
    for key, name, what in (
        ("published_at", "carelake_published_timestamp_seconds", "When it was published"),
        ("as_of", "carelake_as_of_timestamp_seconds", "The moment its figures are for"),
    ):
        if said.get(key):
            gauge = Gauge(name, what, registry=registry)
            gauge.set(dt.datetime.fromisoformat(said[key]).timestamp())
    held = Gauge("carelake_publishing_held", "1 while a rollback holds it", registry=registry)
    held.set(float((home.published / "HOLD").exists()))
    banner = Gauge("carelake_banner", "1 while newer data is held back", registry=registry)
    banner.set(float(bool(said.get("banner"))))


def _tell_sources(registry: CollectorRegistry, home: Home) -> None:
    tried: dict[str, float] = {}
    failed: dict[str, float] = {}
    for path in sorted((home.state / "extracts").glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))
        tried[said["source"]] = dt.datetime.fromisoformat(said["at"]).timestamp()
        failed[said["source"]] = float(said["outcome"] == "failed")
    name = "carelake_source_last_extract_timestamp_seconds"
    _tell(registry, name, "When the source was last asked", "source", tried)
    _tell(registry, "carelake_source_failed", "1 when it gave nothing", "source", failed)


LOADED = (
    ("carelake_source_last_batch_timestamp_seconds", "When its newest batch was extracted",
     "select source_name, epoch(max(extracted_at)) from ledger group by 1 order by 1"),
    ("carelake_source_rows", "Rows loaded from it",
     "select source_name, sum(n_raw) from ledger group by 1 order by 1"),
    ("carelake_source_held_batches", "Batches that a gate holds",
     "select source_name, count(*) filter (where status = 'held') from ledger group by 1 order by 1"),
)  # fmt: skip
QUARANTINE = """
    select source_name, stage, sum(n) from (
        select source_name, 'structure' as stage, sum(n_structural_rejects) as n from ledger
        where status <> 'held' group by 1
        {values}
    ) group by 1, 2 having sum(n) > 0 order by 1, 2
"""
VALUES = "union all select source_name, 'value', sum(n_rejected) from source_runs group by 1"


def _tell_loaded(registry: CollectorRegistry, home: Home) -> None:
    if not home.ops.exists():
        return
    import duckdb
    from prometheus_client import Gauge

    with duckdb.connect(str(home.ops), read_only=True) as con:
        for name, what, query in LOADED:
            rows = con.execute(query).fetchall()
            _tell(registry, name, what, "source", {row[0]: float(row[1]) for row in rows})
        row = con.execute(
            "select count(*) from duckdb_tables() where table_name = 'source_runs'"
        ).fetchone()
        query = QUARANTINE.format(values=VALUES if row and row[0] else "")
        gauge = Gauge(
            "carelake_quarantine_records",
            "Records that are not in the marts, by the stage that took them out",
            ["source", "stage"],
            registry=registry,
        )
        for source, stage, count in con.execute(query).fetchall():
            gauge.labels(source, stage).set(float(count))
