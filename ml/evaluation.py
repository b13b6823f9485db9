"""Measures of a model, and whether one is better than another beyond noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def measure(
    labels: Array, chances: Array, weights: Sequence[float] | None = None
) -> dict[str, float]:
    """What chances are worth against the truth.

    Args:
        labels: 0, 1, .. per row; the classes need not all occur.
        chances: rows x classes.
        weights: what each class's chance is multiplied by before the largest is the answer.

    Returns:
        roc_auc (of more than two classes the mean of each against the rest), macro_f1, accuracy,
        brier (squared distance, summed over classes; of two classes half of that, as is usual),
        log_loss, n; of two classes average_precision_unsatisfied and satisfied_share as well.
        roc_auc is missing (NaN) where the rows hold one class only.
    """
    from sklearn.metrics import average_precision_score

    size = chances.shape[1]
    answers = answer(chances, weights)
    told = np.eye(size)[labels]
    auc = mean_auc(labels, chances)
    distance = float(((chances - told) ** 2).sum(axis=1).mean())
    found = {
        "roc_auc": auc,
        "macro_f1": macro_f1(labels, answers),
        "brier": distance / 2 if size == 2 else distance,
        "log_loss": float(row_losses(labels, chances).mean()),
        "accuracy": float(np.mean(answers == labels)),
        "n": float(len(labels)),
    }
    if size == 2 and not np.isnan(auc):
        found["average_precision_unsatisfied"] = float(
            average_precision_score(1 - labels, chances[:, 0])
        )
        found["satisfied_share"] = float(np.mean(labels))
    return found


def mean_auc(labels: Array, chances: Array) -> float:
    """ROC AUC, of more than two classes the mean of each against the rest; NaN where one class is all."""
    from sklearn.metrics import roc_auc_score

    counts = np.bincount(labels, minlength=chances.shape[1])
    present = [one for one, count in enumerate(counts) if 0 < count < len(labels)]
    if not present:
        return float("nan")
    return float(np.mean([roc_auc_score(labels == one, chances[:, one]) for one in present]))


def answer(chances: Array, weights: Sequence[float] | None = None) -> Array:
    """The class whose weighted chance is largest."""
    answers: Array = np.argmax(chances * (1.0 if weights is None else np.asarray(weights)), axis=1)
    return answers


def macro_f1(labels: Array, answers: Array) -> float:
    """Mean F1 over the classes that occur among labels or answers; quick, as it is searched over."""
    size = int(max(labels.max(), answers.max())) + 1
    true, said = np.bincount(labels, minlength=size), np.bincount(answers, minlength=size)
    right = np.bincount(labels[labels == answers], minlength=size)
    occurs = true + said > 0
    return float(np.mean(2 * right[occurs] / (true + said)[occurs]))


def row_losses(labels: Array, chances: Array) -> Array:
    """Log loss of each row."""
    losses: Array = -np.log(np.clip(chances[np.arange(len(labels)), labels], 1e-9, 1.0))
    return losses


def best_weights(labels: Array, chances: Array) -> tuple[float, ...]:
    """Weights of the classes that give the best macro-F1 on these rows; the first is always 1.

    One class at a time, twice around, in steps of a tenth (on the log scale): finer steps would
    only follow the noise of these rows. Of equally good weights those nearest to 1 are taken.
    """
    weights = np.ones(chances.shape[1])
    tried = sorted(np.exp(np.arange(-30, 31) / 10), key=lambda weight: abs(np.log(weight)))
    for place in [*range(1, len(weights))] * (1 if len(weights) == 2 else 2):
        scores = []
        for weight in tried:
            weights[place] = weight
            scores.append(macro_f1(labels, answer(chances, weights.tolist())))
        weights[place] = tried[int(np.argmax(scores))]
    return tuple(float(weight) for weight in weights)


def threshold(weights: Sequence[float]) -> float:
    """Of two classes: the chance of the second from which on it is the answer."""
    return weights[0] / (weights[0] + weights[1])


def auc_gain(labels: Array, chances: Array, others: Array, seed: int) -> Gain:
    """Paired bootstrap of the difference in ROC AUC: both models see the same resampled rows."""
    draws = _aucs(labels, chances, others, seed)
    ones = np.ones((1, len(labels)))
    difference = float(
        aucs_by_weights(labels, chances, ones)[0] - aucs_by_weights(labels, others, ones)[0]
    )
    return Gain(difference, float(np.quantile(draws, 1 - CONFIDENCE)))


def f1_gain(labels: Array, answers: Array, others: Array, seed: int) -> Gain:
    """Paired bootstrap of the difference in macro-F1: both models answer the same resampled rows."""
    ours, theirs = (
        f1_by_weights(labels, each, np.ones((1, len(labels)))) for each in (answers, others)
    )
    draws = [
        f1_by_weights(labels, answers, weights) - f1_by_weights(labels, others, weights)
        for weights in resampling_weights(len(labels), seed)
    ]
    difference = float(ours[0] - theirs[0])
    return Gain(difference, float(np.quantile(np.concatenate(draws), 1 - CONFIDENCE)))


def f1_by_weights(labels: Array, answers: Array, weights: Array) -> Array:
    """Macro-F1 per row of `weights` (draws x rows), over the classes among labels and answers."""
    scores = []
    for one in np.union1d(labels, answers):
        right = weights @ ((labels == one) & (answers == one))
        both = weights @ (labels == one) + weights @ (answers == one)
        scores.append(2 * right / np.maximum(both, 1e-12))
    mean: Array = np.mean(scores, axis=0)
    return mean


def resampling_weights(n: int, seed: int) -> Iterator[Array]:
    """`DRAWS` rows of weights in parts that fit memory.

    Resampling rows with replacement is giving them multinomial weights, close to Poisson(1).
    """
    rng = np.random.default_rng(seed)
    step = max(1, _MOST_CELLS // n)
    for start in range(0, DRAWS, step):
        yield rng.poisson(1.0, size=(min(step, DRAWS - start), n)).astype("float64")


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
    parts = [
        aucs_by_weights(labels, chances, weights) - aucs_by_weights(labels, others, weights)
        for weights in resampling_weights(len(labels), seed)
    ]
    return np.concatenate(parts)


def aucs_by_weights(labels: Array, chances: Array, weights: Array) -> Array:
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
