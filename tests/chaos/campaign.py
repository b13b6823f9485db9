"""A campaign: lanes side by side, each taking the next disturbance that nobody has taken."""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import subprocess
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.chaos.acts import NO_RUN, Outcome, endure
from tests.chaos.lane import Lane
from tests.chaos.plan import Disturbance
from tests.chaos.runs import fork, import_all

NUMBER = 4


def campaign(
    planned: list[Disturbance], folder: Path, lanes: int, logs: Path | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Make every disturbance; gives (its number, what came of it) as each is done.

    Args:
        folder: where the homes are made.
        lanes: how many homes, side by side.
        logs: keeps what was printed in disturbances that were not survived.

    Raises:
        RuntimeError: a lane could not begin, or ended before its time.
    """
    import_all(folder / "imports")
    queue, fill = os.pipe()
    os.write(fill, b"".join(n.to_bytes(NUMBER, "big") for n in range(len(planned))))
    os.close(fill)
    pipes = {}
    for number in range(min(lanes, len(planned))):
        listen, tell = os.pipe()
        root = folder / f"lane-{number}"
        root.mkdir()
        fork(
            lambda root=root, tell=tell: _lane(planned, root, queue, tell, logs), root / "lane.log"
        )
        os.close(tell)
        pipes[listen] = root
    done = 0
    while pipes:
        for ready in select.select(list(pipes), [], [])[0]:
            line = _read_line(ready)
            if line is None:
                del pipes[ready]
                continue
            number, told = line
            done += 1
            yield number, Outcome(planned[number], **told)
    if done < len(planned):
        said = [path.read_text()[-1500:] for path in sorted(folder.glob("lane-*/lane.log"))]
        raise RuntimeError("the lanes ended early:\n" + "\n".join(said))


def _read_line(pipe: int) -> tuple[int, dict[str, object]] | None:
    """One message: its length, then its text."""
    head = os.read(pipe, NUMBER)
    if not head:
        os.close(pipe)
        return None
    length, text = int.from_bytes(head, "big"), b""
    while len(text) < length:
        text += os.read(pipe, length - len(text))
    number, told = json.loads(text)
    return number, told


def _lane(planned: list[Disturbance], root: Path, queue: int, tell: int, logs: Path | None) -> int:
    """Take disturbances until none is left."""
    own_mounts()
    lane = Lane(root / "work")
    while taken := os.read(queue, NUMBER):
        number = int.from_bytes(taken, "big")
        try:
            outcome = endure(lane, planned[number])
        except Exception:
            # what breaks the campaign itself is told as an outcome too: nothing passes unseen
            why = f"{NO_RUN}, nor could it be made: {traceback.format_exc()[-1500:]}"
            outcome = Outcome(planned[number], False, [], [why], 0.0)
        if outcome.faults and logs:
            for path in lane.scratch.glob("run-*.log"):
                logs.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, logs / f"{number:03d}-{path.name}")
        told = {key: value for key, value in asdict(outcome).items() if key != "disturbance"}
        text = json.dumps([number, told]).encode()
        os.write(tell, len(text).to_bytes(NUMBER, "big") + text)
    return 0


def own_mounts() -> None:
    """Keep what this process mounts to itself: it vanishes with it. Does nothing without the right."""
    CLONE_NEWNS = 0x00020000
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True)
