from __future__ import annotations

from pathlib import Path

import pytest

from carelake import settling


class Clock:
    """A time that tests move on."""

    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(settling, "time", clock)
    return clock


def look(state: Path, *busy: str, run: str = "r1") -> settling.Settling:
    return settling.look(state, run, ["a", "b", "c"], busy.__contains__, 60)


def test_a_build_begins_when_all_have_arrived_and_patience_begins_anew_with_each(
    tmp_path: Path, clock: Clock
) -> None:
    assert look(tmp_path).summary == "every source has arrived"
    assert not look(tmp_path, "a", "b").done
    clock.now += 50
    assert not look(tmp_path, "a").done
    clock.now += 50
    waiting = look(tmp_path, "a")
    assert not waiting.done and waiting.summary == "waits for a"
    clock.now += 11
    gone_on = look(tmp_path, "a")
    assert gone_on.done and gone_on.summary == "went on without a" and gone_on.seconds == 111


def test_who_has_arrived_and_runs_again_is_not_waited_for(tmp_path: Path, clock: Clock) -> None:
    look(tmp_path, "a", "b")
    look(tmp_path, "a")
    assert look(tmp_path, "b").done
    # another run, and a task that is cleared, wait anew
    assert not look(tmp_path, "b").done
    assert not look(tmp_path, "c", run="r2").done


def test_many_sources_one_after_the_other_do_not_put_a_build_off_for_ever(
    tmp_path: Path, clock: Clock
) -> None:
    names = [f"s{i}" for i in range(100)]
    for i in range(100):
        busy = names[i:]
        found = settling.look(tmp_path, "r", names, busy.__contains__, 60)
        if found.done:
            break
        clock.now += 50
    assert 1400 < found.seconds <= 1600
