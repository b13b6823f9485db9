"""When a source is read: cron lines, and schedules by name."""

from __future__ import annotations

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Schedules by name, as Airflow has them."""


def is_cron(line: str) -> bool:
    """Whether it is a cron line that Airflow takes."""
    from croniter import croniter  # type: ignore[import-untyped, unused-ignore]

    # Airflow takes five fields, or six with seconds at the end
    return len(line.split()) in (5, 6) and croniter.is_valid(line)
