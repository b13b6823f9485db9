"""Measures of a model, and whether one is better than another beyond noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DRAWS = 1000
CONFIDENCE = 0.95
_MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class Gain:
    """How much better a challenger is: the difference and its one-sided lower bound."""

    difference: float
    lower: float

    @property
    def is_real(self) -> bool:
        """Whether the gain stands above noise."""
        return self.lower > 0


def measure(labels: Array, chances: Array, threshold: float = 0.5) -> dict[str, float]:
    """ROC AUC, Brier, log loss, average precision; macro-F1 and accuracy at a threshold; n."""
    said = chances >= threshold
    from sklearn.metrics import (
        average_precision_score,
        brier_score_loss,
        f1_score,
        log_loss,
        roc_auc_score,
    )

    return {
        "roc_auc": float(roc_auc_score(labels, chances)),
        "macro_f1": float(f1_score(labels, said, average="macro", zero_division=0.0)),
        "brier": float(brier_score_loss(labels, chances)),
        "log_loss": float(log_loss(labels, chances, labels=[0, 1])),
        "average_precision_unsatisfied": float(average_precision_score(1 - labels, 1 - chances)),
        "accuracy": float(np.mean(said == (labels == 1))),
        "satisfied_share": float(np.mean(labels)),
        "n": float(len(labels)),
    }


def best_threshold(labels: Array, chances: Array) -> float:
    """The chance from which on "satisfied" gives the best macro-F1 on these rows, two decimals."""
    from sklearn.metrics import f1_score

    tried = np.arange(0.05, 1.0, 0.01).round(2)
    scores = [f1_score(labels, chances >= at, average="macro", zero_division=0.0) for at in tried]
    return float(tried[int(np.argmax(scores))])


def auc_gain(labels: Array, chances: Array, others: Array, seed: int) -> Gain:
    """Paired bootstrap of the difference in ROC AUC: both models see the same resampled rows."""
    draws = _aucs(labels, chances, others, seed)
    ones = np.ones((1, len(labels)))
    difference = float(
        _weighted_auc(labels, chances, ones)[0] - _weighted_auc(labels, others, ones)[0]
    )
    return Gain(difference, float(np.quantile(draws, 1 - CONFIDENCE)))


def mean_gain(values: Array, others: Array, seed: int) -> Gain:
    """Paired bootstrap of the difference of two means over the same rows."""
    differences = values - others
    rng = np.random.default_rng(seed)
    draws = [
        differences[rng.integers(0, len(differences), len(differences))].mean()
        for _ in range(DRAWS)
    ]
    return Gain(float(differences.mean()), float(np.quantile(draws, 1 - CONFIDENCE)))


def _aucs(labels: Array, chances: Array, others: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    n = len(labels)
    step = max(1, _MOST_CELLS // n)
    parts = []
    for start in range(0, DRAWS, step):
        size = min(step, DRAWS - start)
        # Resampling rows with replacement is giving them multinomial weights, close to Poisson(1).
        weights = rng.poisson(1.0, size=(size, n)).astype("float64")
        parts.append(
            _weighted_auc(labels, chances, weights) - _weighted_auc(labels, others, weights)
        )
    return np.concatenate(parts)


def _weighted_auc(labels: Array, chances: Array, weights: Array) -> Array:
    """ROC AUC per row of `weights` (draws x rows); ties count half, no pair is 0.5."""
    order = np.argsort(chances, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(chances[order]) > 0])
    positive = weights[:, order] * (labels[order] == 1)
    negative = weights[:, order] * (labels[order] == 0)
    positives = np.add.reduceat(positive, starts, axis=1)
    negatives = np.add.reduceat(negative, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    won = (positives * (below + negatives / 2)).sum(axis=1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1), 0.5)
