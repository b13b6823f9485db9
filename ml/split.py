"""Which rows a model may learn from and which it is judged on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

HOLD_OUT = 0.25
TIMED_SHARE = 0.5

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Split:
    """A hold-out as a mask over rows, and how it came about in words for the run."""

    test: Mask
    kind: str
    words: str

    @property
    def train(self) -> Mask:
        """The rows to learn from."""
        return np.logical_not(self.test)


def split_rows(
    times: pd.Series[Any], keys: pd.Series[Any], labels: np.ndarray[Any, Any], seed: int
) -> Split:
    """Hold out the latest quarter; rows of the same moment stay on one side.

    Falls back to a random quarter, stated in `words`, when most rows have no time, all happened at
    once, or one side would lack a kind of answer. Random means a seeded hash of the
    key, so a row stays on its side as the data grows and no champion was trained on its test rows.

    Args:
        times: when each label became known, UTC, missing where unknown.
        keys: one unique key per row.
        labels: 0, 1, .. per row.
        seed: of the random split.
    """
    words = "rows have no times"
    if times.notna().mean() >= TIMED_SHARE:
        later = _later(times)
        if later is not None and _both(labels, later):
            moment = times[later].min().isoformat()
            return Split(later, "later in time", f"later in time: tested from {moment} on")
        words = "no later part holds both answers"
    return Split(_random(keys, seed), "random", f"random by key with seed {seed}: {words}")


def usable(split: Split, labels: np.ndarray[Any, Any]) -> bool:
    """Whether both sides hold at least two rows of each answer."""
    return _both(labels, split.test)


def time_order(times: pd.Series[Any], keys: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Row positions from earliest to latest, untimed first, ties by key."""
    order = pd.DataFrame({"t": times.to_numpy(), "k": keys.to_numpy()})
    ordered = order.sort_values(["t", "k"], na_position="first", kind="stable")
    return ordered.index.to_numpy()


def _later(times: pd.Series[Any]) -> Mask | None:
    """Rows from the cut on; the cut is the moment that brings the share nearest to a quarter."""
    known = times.dropna().sort_values()
    moments = known.drop_duplicates().iloc[1:]
    if moments.empty:
        return None
    before = np.searchsorted(known.to_numpy(), moments.to_numpy(), side="left")
    shares = 1 - before / len(known)
    cut = moments.iloc[int(np.argmin(np.abs(shares - HOLD_OUT)))]
    return np.asarray((times >= cut).to_numpy(), dtype=bool)


def _random(keys: pd.Series[Any], seed: int) -> Mask:
    limit = int(HOLD_OUT * 2**32)
    sides = [
        int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "big") < limit
        for key in keys
    ]
    return np.array(sides, dtype=bool)


def _both(labels: np.ndarray[Any, Any], test: Mask) -> bool:
    sides = (labels[test], labels[~test])
    counts = [[int((side == one).sum()) for side in sides] for one in np.unique(labels)]
    return len(counts) > 1 and min(map(min, counts)) >= 2
