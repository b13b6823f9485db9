from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carelake import pipeline
from carelake.errors import RunFailed
from carelake.keeping import metrics
from carelake.progress import Progress
from carelake.settings import Context
from tests.carelake.keeping.conftest import extract_all


def scraped(ctx: Context) -> dict[tuple[str, ...], float]:
    """What Prometheus' own parser reads: (name, label values) -> value."""
    text = (ctx.home.published / metrics.NAME).read_text(encoding="utf-8")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_tells_steps_sources_quarantine_disk_and_version(
    lake: Context, tmp_path: Path
) -> None:
    (tmp_path / "inbox" / "notes-3.csv").write_text("id,text\n9001,new\nbroken\n")
    quiet = Progress(quiet=True)
    for step in ("extract", "load", "publish"):
        pipeline.perform(lake, step, quiet)
    found = scraped(lake)
    assert found["carelake_step_rows", "load"] == 1
    assert found["carelake_step_failed", "load"] == 0
    assert found["carelake_step_last_success_timestamp_seconds", "publish"] > 1e9
    assert found["carelake_step_duration_seconds", "load"] > 0
    assert found["carelake_source_rows", "notes"] == 1001
    assert found["carelake_source_held_batches", "notes"] == 0
    assert found["carelake_quarantine_records", "notes", "structure"] == 1
    assert found["carelake_source_last_batch_timestamp_seconds", "notes"] > 1e9
    assert found["carelake_published_version",] == 1
    assert found["carelake_disk_bytes", "warehouse"] == pytest.approx(
        lake.home.warehouse.stat().st_size, rel=0.5
    )
    assert found["carelake_disk_bytes", "landing"] > 10_000
    path = lake.home.published / metrics.NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert "hello" not in path.read_text()


def test_a_failure_counts_and_its_last_success_stays(
    lake: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Progress(quiet=True)
    extract_all(lake)
    pipeline.perform(lake, "load", quiet)
    before = scraped(lake)["carelake_step_last_success_timestamp_seconds", "load"]

    def fail(ctx: Context, progress: Progress) -> None:
        raise RunFailed("no")

    monkeypatch.setitem(pipeline.STEPS, "load", fail)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(RunFailed):
            pipeline.perform(lake, "load", quiet)
    after = scraped(lake)
    assert after["carelake_step_failed", "load"] == 1
    assert after["carelake_step_failures_total", "load"] == 2
    assert after["carelake_step_last_success_timestamp_seconds", "load"] == before
    assert after["carelake_step_last_attempt_timestamp_seconds", "load"] >= before


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert 1000 <= metrics.folder_bytes(tmp_path) < 1200
