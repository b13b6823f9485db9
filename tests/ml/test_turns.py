from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.settings import Home
from ml import api
from ml.turns import own_turn
from tests.ml.conftest import SETTINGS


def is_taken(home: Home) -> bool:
    with (home.mlflow_dir / "models.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_second_waits_says_so_and_goes_on_when_the_first_is_done(tmp_path: Path) -> None:
    home, said, order = Home(tmp_path), list[str](), list[str]()

    def second() -> None:
        with own_turn(home, said.append):
            order.append("second")

    with own_turn(home, said.append):
        waiting = threading.Thread(target=second)
        waiting.start()
        end = time.monotonic() + 10
        while not said and time.monotonic() < end:
            time.sleep(0.01)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert said == ["waiting for another training or scoring of this home"]
    assert not is_taken(home)


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("ml.training.train_all", lambda home: api.train(home, SETTINGS, home.features)),
        ("ml.scoring.score_all", lambda home: api.score(home, SETTINGS, home.features)),
    ],
)
def test_training_and_scoring_take_turns(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    call: Callable[[Home], object],
) -> None:
    home = Home(tmp_path)
    monkeypatch.setattr(place, lambda *_, **__: is_taken(home))
    assert call(home) is True
