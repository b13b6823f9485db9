"""Say what goes on: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from carelake.shown import one_line, visible


class Progress:
    """Where steps report to; one per call of the command line.

    Args:
        stream: where lines go; standard error by default, so that output stays clean for pipes.
        quiet: say nothing.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()

    def say(self, text: str) -> None:
        """One line that stays."""
        if self._quiet:
            return
        self._clear()
        print(visible(text), file=self._stream, flush=True)

    def update(self, text: str) -> None:
        """What is under way now: replaced by the next line, shown on terminals only."""
        if self._live:
            self._clear()
            self._stream.write(one_line(text[:110]))
            self._stream.flush()

    def bar(self, label: str, done: int, total: int) -> None:
        """A bar for work of known size, on terminals only."""
        share = done / total if total else 1.0
        self.update(f"{label} [{'#' * round(share * 24):<24}] {done:,}/{total:,}")

    @contextmanager
    def step(self, label: str) -> Iterator[StepNote]:
        """Time a step and leave one line: label, what came out, seconds."""
        note = StepNote()
        began = time.monotonic()
        self.update(f"{label} ...")
        try:
            yield note
        except BaseException:
            self.say(f"✗ {label:<16} failed after {time.monotonic() - began:.1f} s")
            raise
        mark = "✗" if note.failed else "✓"
        self.say(f"{mark} {label:<16} {note.text} ({time.monotonic() - began:.1f} s)")

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[2K")


class TaskProgress(Progress):
    """For a step inside a task, where nobody sees a live line: how far it is, now and then.

    Args:
        show: takes the newest line of progress too, as an XCom for instance; may be called from any
            thread, and what it raises is no matter of the step.
        every: seconds between two lines of progress at least.
    """

    def __init__(self, show: Callable[[str], None], every: float = 5.0) -> None:
        # not standard error, which a task's log paints red
        super().__init__(sys.stdout)
        self._show = show
        self._every = every
        self._shown_at = time.monotonic()

    def update(self, text: str) -> None:
        """A line of progress, unless the last one is younger than `every` seconds."""
        now = time.monotonic()
        if now - self._shown_at < self._every:
            return
        self._shown_at = now
        line = one_line(text)
        self.say(line)
        with suppress(Exception):
            self._show(line)

    def bar(self, label: str, done: int, total: int) -> None:
        """How much of a work of known size is done."""
        share = done / total if total else 1.0
        self.update(f"{label}: {share:.0%} ({done:,} of {total:,})")


class StepNote:
    """What a step says of itself when it is done; `failed` where a part did, and the rest went on."""

    text: str = ""
    failed: bool = False
