"""How far rows have moved from those a model was made on: population stability index (PSI).

PSI = sum over bins of (share now - share then) x ln(share now / share then), as in N. Siddiqi, Credit
Risk Scorecards (2006), where 0.1 is a slight and 0.25 a marked shift. Of few rows it is large by chance
alone: without any shift it is about (1/n now + 1/n then) x chi-squared with (bins - 1) degrees of
freedom (B. Yurdakul, Statistical Properties of Population Stability Index, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from ml.evaluation import Array

BINS = 10
MOST_VALUES = 20
CHANCE = 0.999
MISSING, OTHER = "(missing)", "(other)"


@dataclass(frozen=True)
class Bins:
    """How one column was spread: edges of numbers or values of texts, and counts per bin.

    The last bin but one of texts is all other values; the last bin of both is what is missing.
    """

    edges: list[float] | None
    values: list[str] | None
    counts: list[int]

    @property
    def n(self) -> int:
        """Rows counted."""
        return sum(self.counts)

    @classmethod
    def of_numbers(cls, column: pd.Series[Any]) -> Bins:
        """Tenths of the rows; fewer bins where values repeat."""
        known = column.dropna().to_numpy(dtype="float64")
        inner = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.unique(np.quantile(known, inner)).tolist() if len(known) else []
        made = cls(edges, None, [])
        return cls(edges, None, made.count(column))

    @classmethod
    def of_texts(cls, column: pd.Series[Any]) -> Bins:
        """The most frequent values, ties by name."""
        counted = column.dropna().value_counts()
        order = sorted(counted.items(), key=lambda item: (-int(item[1]), str(item[0])))
        values = [str(value) for value, _ in order[:MOST_VALUES]]
        made = cls(None, values, [])
        return cls(None, values, made.count(column))

    def count(self, column: pd.Series[Any]) -> list[int]:
        """Rows per bin of another column."""
        if self.edges is not None:
            numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64")
            size = len(self.edges) + 1
            places = np.searchsorted(self.edges, numbers, side="right")
            places[np.isnan(numbers)] = size
            return [int(count) for count in np.bincount(places, minlength=size + 1)]
        known = {value: place for place, value in enumerate(self.values or [])}
        size = len(known)
        codes = column.map(lambda value: known.get(value, size), na_action="ignore")
        found = codes.fillna(size + 1).astype(int).to_numpy()
        return [int(count) for count in np.bincount(found, minlength=size + 2)]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {"edges": self.edges, "values": self.values, "counts": self.counts}


def psi(then: list[int], now: list[int]) -> tuple[float, float]:
    """PSI of two counts per bin, and what it stays under by chance (999 times of 1,000).

    Half a row is added to each bin, so that an empty one does not make it infinite.
    """
    before, after = (np.asarray(each, dtype="float64") for each in (then, now))
    filled = (before + after) > 0
    before, after = before[filled], after[filled]
    if len(before) < 2 or not before.sum() or not after.sum():
        return 0.0, 0.0
    share_then, share_now = (_shares(each) for each in (before, after))
    value = float(((share_now - share_then) * np.log(share_now / share_then)).sum())
    noise = (1 / before.sum() + 1 / after.sum()) * float(chi2.ppf(CHANCE, len(before) - 1))
    return value, noise


def _shares(counts: Array) -> Array:
    shares: Array = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares
