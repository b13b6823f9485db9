"""What is done to a run, where and when: chosen by a seed, so that a campaign can be repeated."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.lane import FIRST, SCENES, SECOND
from tests.chaos.runs import STEPS

KILL, DISK, TORN, TWICE, LOCK, MLFLOW = (
    "kill -9", "full disk", "torn landing file", "two runs at once", "a stranger's lock",
    "MLflow's database gone",
)  # fmt: skip
KINDS = (KILL, DISK, TORN, TWICE, LOCK, MLFLOW)

BEGINNING, CHANGE, MOMENT = "at its beginning", "before a change of a file", "at a random moment"
LITTLE_ROOM, FILLED = "with little room", "filled in the middle"
CUT, FLIPPED, LOST, MANIFEST, LEFT_OVER = (
    "cut data file", "flipped byte", "lost data file", "cut manifest", "left-over drafts",
)  # fmt: skip
NAMED, UNNAMED, DEAD, DATABASE = (
    "a holder with a name", "a nameless holder", "a holder that is killed", "the database held",
)  # fmt: skip
MOVED, GARBAGE, LOCKED = "moved away", "overwritten with garbage", "locked"

VARIANTS = {
    DISK: (LITTLE_ROOM, FILLED),
    TORN: (CUT, FLIPPED, LOST, MANIFEST, LEFT_OVER),
    TWICE: ("",),
    LOCK: (NAMED, UNNAMED, DEAD, DATABASE),
    MLFLOW: (MOVED, GARBAGE, LOCKED),
}
SHARES = {KILL: 0.54, DISK: 0.18, TORN: 0.09, TWICE: 0.05, LOCK: 0.07, MLFLOW: 0.07}


@dataclass(frozen=True)
class Disturbance:
    """One thing done to one run.

    Attributes:
        scene: the run of a new home, or one that finds news.
        moment: how far into the step, or how much room, as a share of what an undisturbed run needs.
        seed: of what else is left to chance.
    """

    kind: str
    variant: str
    scene: str
    step: str
    moment: float = 0.0
    seed: int = 0

    def __str__(self) -> str:
        variant = f" {self.variant}" if self.variant else ""
        return f"{self.kind}{variant} · {self.scene} run · {self.step} {self.moment:.0%}"


def plan(seed: int, count: int, kinds: list[str], steps: list[str]) -> list[Disturbance]:
    """Disturbances of every kind in its share: kills at each step's beginning first, the rest by chance."""
    chosen = random.Random(seed)
    total = sum(SHARES[kind] for kind in kinds)
    counts = {kind: round(count * SHARES[kind] / total) for kind in kinds}
    counts[kinds[0]] += count - sum(counts.values())
    planned = [d for kind in kinds for d in MAKERS[kind](chosen, counts[kind], steps)]
    chosen.shuffle(planned)
    return planned


def _kills(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    pairs = [(scene, step) for scene in SCENES for step in steps]
    every = [
        Disturbance(KILL, BEGINNING, scene, step)
        for scene, step in pairs
        if not (scene == SECOND and step == "train")
    ]
    beginnings = every[:count] if len(every) >= count else every
    return beginnings + [
        Disturbance(KILL, (CHANGE, MOMENT)[number % 2], *_somewhere(chosen, steps))
        for number in range(count - len(beginnings))
    ]


def _somewhere(chosen: random.Random, steps: list[str]) -> tuple[str, str, float]:
    """Scene, step and moment; only the first run of a home trains."""
    step = chosen.choice(steps)
    scene = FIRST if step == "train" else chosen.choice(SCENES)
    return scene, step, round(chosen.random(), 3)


def _full_disks(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    return [
        Disturbance(DISK, VARIANTS[DISK][number % 2], *_somewhere(chosen, steps))
        for number in range(count)
    ]


def _torn(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    variants = VARIANTS[TORN]
    return [
        Disturbance(
            TORN, variants[number % len(variants)], SECOND, "load", round(chosen.random(), 3),
            chosen.randrange(1 << 30),
        )
        for number in range(count)
    ]  # fmt: skip


def _twice(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    # the other run begins in the first third: later, it finds nothing left to do
    return [
        Disturbance(TWICE, "", SCENES[number % 2], "init", round(chosen.random() * 0.35, 3))
        for number in range(count)
    ]


def _locks(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    locking = [step for step in steps if step not in ("init", "extract", "train")] or ["load"]
    variants = VARIANTS[LOCK]
    return [
        Disturbance(LOCK, variants[number % len(variants)], *_somewhere(chosen, locking))
        for number in range(count)
    ]


def _mlflow(chosen: random.Random, count: int, steps: list[str]) -> list[Disturbance]:
    variants = VARIANTS[MLFLOW]
    modelling = [step for step in ("score", "train") if step in steps] or ["train"]
    return [
        Disturbance(MLFLOW, variants[number % len(variants)], *_somewhere(chosen, modelling))
        for number in range(count)
    ]


MAKERS: dict[str, Callable[[random.Random, int, list[str]], list[Disturbance]]] = {
    KILL: _kills, DISK: _full_disks, TORN: _torn, TWICE: _twice, LOCK: _locks, MLFLOW: _mlflow,
}  # fmt: skip

TEN = (
    Disturbance(KILL, BEGINNING, FIRST, "publish"),
    Disturbance(KILL, CHANGE, FIRST, "train", 0.95),
    Disturbance(KILL, CHANGE, SECOND, "publish", 0.9),
    Disturbance(KILL, CHANGE, FIRST, "load", 0.5),
    Disturbance(DISK, LITTLE_ROOM, SECOND, "build_marts", 0.1),
    Disturbance(DISK, LITTLE_ROOM, FIRST, "extract", 0.02),
    Disturbance(TORN, FLIPPED, SECOND, "load", 0.5, 3),
    Disturbance(TORN, MANIFEST, SECOND, "load", 0.5, 4),
    Disturbance(LOCK, NAMED, SECOND, "build_marts"),
    Disturbance(MLFLOW, GARBAGE, FIRST, "score"),
)
"""Ten of differing kinds for `make test-all`: none depends on how fast the machine is."""

ALL_STEPS = list(STEPS)
