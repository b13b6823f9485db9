"""How each kind of disturbance is done; every act says whether it hit and what was wrong about it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import plan
from tests.chaos.inspection import MART, differences
from tests.chaos.lane import FIRST, SECOND, Lane, can_mount
from tests.chaos.plan import Disturbance
from tests.chaos.runs import Orders, Run
from tests.chaos.strangers import Stranger

HELD_SECONDS = 2.0
NO_RUN = "one more run failed"


@dataclass
class Act:
    """What came of a disturbance: what was wrong at the time, and after one more run."""

    hit: bool
    complaints: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What came of a disturbance altogether."""

    disturbance: Disturbance
    hit: bool
    complaints: list[str]
    differences: list[str]
    seconds: float

    @property
    def faults(self) -> list[str]:
        """All that was wrong, during the disturbance and after one more run."""
        return [*self.complaints, *self.differences]

    @property
    def same(self) -> bool:
        """Whether one more run gave the undisturbed marts."""
        return not any(fault.startswith((MART, NO_RUN)) for fault in self.differences)

    @property
    def survived(self) -> bool:
        """Whether nothing was wrong at all."""
        return not self.faults


def endure(lane: Lane, disturbance: Disturbance) -> Outcome:
    """Disturb a run, run once more, and compare with what an undisturbed run gives."""
    began = time.monotonic()
    lane.forget_logs()
    if disturbance.kind == plan.DISK and can_mount():
        act = _full_disk(lane, disturbance)
    else:
        lane.restore(disturbance.scene, _first_step(lane, disturbance))
        act = ACTS[disturbance.kind](lane, disturbance)
        act.differences += _after(lane, disturbance)
    seconds = round(time.monotonic() - began, 1)
    return Outcome(disturbance, act.hit, act.complaints, act.differences, seconds)


def _after(lane: Lane, disturbance: Disturbance) -> list[str]:
    """One more run, and everything that is not as if nothing had happened."""
    run = lane.run()
    if run.wait():
        return [f"{NO_RUN}: {_last_line(run)}"]
    if "Traceback" in run.output:
        return ["one more run printed a traceback"]
    return differences(lane.scenes[disturbance.scene].found, lane.inspect())


def _first_step(lane: Lane, disturbance: Disturbance) -> str:
    """The step that the disturbed run begins with; a stranger's lock is met by the whole run."""
    return disturbance.step if disturbance.step in lane.steps(disturbance.scene) else "score"


# -- kills ---------------------------------------------------------------------------------------
def _kill(lane: Lane, disturbance: Disturbance) -> Act:
    step, scene = _first_step(lane, disturbance), lane.scenes[disturbance.scene]
    orders = Orders(first="score" if step == "train" else step)
    if disturbance.variant == plan.BEGINNING:
        orders.kill_at = (step, 0)
    elif disturbance.variant == plan.CHANGE:
        changes = max(1, scene.operations.get(step, 1))
        orders.kill_at = (step, 1 + int(disturbance.moment * changes))
    run = lane.run(orders)
    if disturbance.variant == plan.MOMENT and run.wait_for(step):
        time.sleep(disturbance.moment * scene.seconds[step])
        run.kill()
    hit = run.wait() < 0
    return Act(hit, _whole_marts(lane, disturbance))


def _whole_marts(lane: Lane, disturbance: Disturbance) -> list[str]:
    """Readers see what was published before, or all that the run was to publish; nothing between."""
    if not (lane.home / "published" / "current").exists():
        return [] if disturbance.scene == FIRST else ["nothing is published any more"]
    seen = lane.ask(lambda: _published(lane.home))
    whole = [lane.scenes[name].found["fingerprint"] for name in (FIRST, SECOND)]
    return [] if seen in whole else ["readers see marts that no run should have published"]


def _published(home: Path) -> dict[str, object]:
    from carelake.settings import Home
    from carelake.warehouse.published import published_fingerprint

    return published_fingerprint(Home(home))


# -- disks ---------------------------------------------------------------------------------------
def _full_disk(lane: Lane, disturbance: Disturbance) -> Act:
    step, scene = _first_step(lane, disturbance), lane.scenes[disturbance.scene]
    with lane.small_disk(disturbance.scene, step) as disk:
        needed = scene.sizes["end"] - scene.sizes[step]
        if disturbance.variant == plan.LITTLE_ROOM:
            disk.leave(int(disturbance.moment * needed))
        run = lane.run(Orders(first="score" if step == "train" else step))
        if disturbance.variant == plan.FILLED and run.wait_for(step):
            time.sleep(disturbance.moment * scene.seconds[step])
            disk.fill()
        code = run.wait()
        disk.make_room()
        complaints = _one_message(run, code, "full") + _whole_marts(lane, disturbance)
        return Act(code != 0, complaints, _after(lane, disturbance))


def _file_limit(lane: Lane, disturbance: Disturbance) -> Act:
    """Where no disk can be mounted: no file may grow beyond a limit."""
    step = _first_step(lane, disturbance)
    largest = 4096 + int(disturbance.moment * 4_000_000)
    run = lane.run(Orders(first="score" if step == "train" else step, largest_file=largest))
    code = run.wait()
    return Act(code != 0, _one_message(run, code, "") + _whole_marts(lane, disturbance))


# -- the landing zone ----------------------------------------------------------------------------
def _torn(lane: Lane, disturbance: Disturbance) -> Act:
    chosen = random.Random(disturbance.seed)
    landing = lane.home / "landing"
    before = lane.kept(SECOND, "init") / "landing"
    new = sorted(p for p in landing.glob("*/*/") if not (before / p.relative_to(landing)).exists())
    folder = chosen.choice(new)
    if disturbance.variant == plan.LEFT_OVER:
        return _left_over(lane, folder)
    if disturbance.variant == plan.MANIFEST:
        path = folder / "manifest.json"
    else:
        path = chosen.choice(sorted(p for p in folder.iterdir() if p.name != "manifest.json"))
    whole = path.read_bytes()
    _tear(path, whole, disturbance)
    run = lane.run()
    complaints = _one_message(run, run.wait(), "", expected=0)
    if path.name not in run.output or folder.name not in run.output:
        complaints.append(f"no message names {folder.name}/{path.name}")
    others = {p.name for p in new if p != folder}
    loaded = {account["batch_id"] for account in lane.inspect()["accounts"] if account["n_raw"]}
    if not others <= loaded:
        complaints.append(f"not loaded beside it: {sorted(others - loaded)}")
    if folder.name in loaded:
        complaints.append(f"{folder.name} was loaded although it is damaged")
    path.unlink(missing_ok=True)
    path.write_bytes(whole)
    return Act(True, complaints)


def _tear(path: Path, whole: bytes, disturbance: Disturbance) -> None:
    place = min(len(whole) - 1, int(disturbance.moment * len(whole)))
    if disturbance.variant == plan.FLIPPED:
        torn = bytearray(whole)
        torn[place] ^= 0x01
    else:
        torn = bytearray(whole[:place])
    path.chmod(0o600)
    if disturbance.variant == plan.LOST:
        path.unlink()
    else:
        path.write_bytes(torn)


def _left_over(lane: Lane, folder: Path) -> Act:
    """What kills of earlier runs leave: a batch without manifest, drafts of what was to be renamed."""
    number = int(folder.name[-6:]) + 1
    begun = folder.with_name(f"{folder.name[:-6]}{number:06d}")
    begun.mkdir()
    (begun / "0001-calls.csv").write_bytes(b"half a l")
    (begun / "manifest.json.part").write_text('{"batch_id": "')
    for name in (f"state/extracts/.{folder.parent.name}.part", "published/ops.duckdb.part"):
        draft = lane.home / name
        draft.parent.mkdir(exist_ok=True)
        draft.write_bytes(b"half")
    (lane.home / "published" / "versions" / "000009.part").mkdir()
    (lane.home / "ml" / "features" / "00000000.part").mkdir()
    (lane.home / "tmp" / "tmp0left").mkdir()
    return Act(True)


# -- others at work ------------------------------------------------------------------------------
def _twice(lane: Lane, disturbance: Disturbance) -> Act:
    first = lane.run()
    time.sleep(disturbance.moment * sum(lane.scenes[disturbance.scene].seconds.values()))
    both_alive = first.is_alive()
    second = lane.run()
    codes = [first.wait(), second.wait()]
    complaints = [
        fault
        for run, code in zip((first, second), codes, strict=True)
        for fault in _one_message(run, code, "", expected=0)
    ]
    return Act(both_alive, complaints)


def _stranger(lane: Lane, disturbance: Disturbance) -> Act:
    step = _first_step(lane, disturbance)
    if disturbance.variant == plan.DATABASE:
        return _database_held(lane, disturbance, step)
    run = lane.run(Orders(first=step))
    run.wait_for(step)
    time.sleep(disturbance.moment * lane.scenes[disturbance.scene].seconds[step])
    with Stranger.with_lock(lane.home, named=disturbance.variant != plan.UNNAMED) as stranger:
        time.sleep(HELD_SECONDS)
        if disturbance.variant == plan.DEAD:
            stranger.kill()
    complaints = _one_message(run, run.wait(), "", expected=0)
    met = "waiting for the warehouse" in run.output
    is_named = disturbance.variant != plan.UNNAMED
    name = f"`nightly copy` (process {stranger.pid} " if is_named else f"process {stranger.pid},"
    if met and f"held by {name}" not in run.output:
        complaints.append("the message does not name the holder")
    return Act(met, complaints)


def _database_held(lane: Lane, disturbance: Disturbance, step: str) -> Act:
    run = lane.run(Orders(first=step))
    run.wait_for(step)
    time.sleep(disturbance.moment * lane.scenes[disturbance.scene].seconds[step])
    with Stranger.with_database(lane.home) as stranger:
        code = run.wait()
    return Act(code != 0, _one_message(run, code, f"PID {stranger.pid}"))


def _mlflow(lane: Lane, disturbance: Disturbance) -> Act:
    step = _first_step(lane, disturbance)
    database = lane.home / "mlflow" / "mlflow.db"
    run = lane.run(Orders(first="score"))
    run.wait_for(step)
    time.sleep(disturbance.moment * lane.scenes[disturbance.scene].seconds[step])
    while run.is_alive() and not (database.exists() and database.stat().st_size > 0):
        time.sleep(0.02)
    met = run.is_alive()
    if disturbance.variant == plan.LOCKED:
        with Stranger.with_sqlite(database):
            code = run.wait()
        return Act(met, _one_message(run, code, "MLflow"))
    away = lane.scratch / "mlflow-away"
    away.mkdir(exist_ok=True)
    for path in list(database.parent.glob("mlflow.db*")):
        path.rename(away / path.name)
    if disturbance.variant == plan.GARBAGE:
        database.write_bytes(b"no database " * 1000)
    code = run.wait()
    for path in database.parent.glob("mlflow.db*"):
        path.unlink()
    for path in away.iterdir():
        path.rename(database.parent / path.name)
    return Act(met, _one_message(run, code, "MLflow"))


# -- messages ------------------------------------------------------------------------------------
def _one_message(run: Run, code: int, word: str, expected: int | None = None) -> list[str]:
    """A run ends well, or with exit code 1 and one line that says why, and never with a traceback."""
    complaints = []
    if code not in ((0, 1) if expected is None else (expected,)):
        complaints.append(f"exit code {code}: {_last_line(run)}")
    if "Traceback" in run.output:
        complaints.append("a traceback was printed")
    messages = [line for line in run.output.splitlines() if line.startswith("carelake: ")]
    if code == 1 and len(messages) != 1:
        complaints.append(f"{len(messages)} messages instead of one: {_last_line(run)}")
    elif code == 1 and word not in messages[0]:
        complaints.append(f"the message does not say '{word}': {messages[0][:300]}")
    return complaints


def _last_line(run: Run) -> str:
    lines = [line for line in run.output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


ACTS: dict[str, Callable[[Lane, Disturbance], Act]] = {
    plan.KILL: _kill, plan.DISK: _file_limit, plan.TORN: _torn, plan.TWICE: _twice,
    plan.LOCK: _stranger, plan.MLFLOW: _mlflow,
}  # fmt: skip
