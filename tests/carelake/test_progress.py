from __future__ import annotations

import pytest

from carelake.progress import TaskProgress


def test_a_task_shows_how_far_it_is_at_a_bounded_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("carelake.progress.time.monotonic", lambda: now[0])
    shown: list[str] = []

    def show(line: str) -> None:
        shown.append(line)
        raise ConnectionError("Airflow does not listen just now")

    progress = TaskProgress(show, every=5.0)
    for done in range(100):
        now[0] += 0.3
        progress.bar("dbt", done, 100)
    assert shown[0] == "dbt: 16% (16 of 100)" and 5 <= len(shown) <= 6
    assert capsys.readouterr().out.splitlines() == shown
