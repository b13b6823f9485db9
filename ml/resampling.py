"""Measures of models on resampled rows: how far each could be off, and their differences."""

from __future__ import annotations

from itertools import chain

import numpy as np

from ml.evaluation import (
    CONFIDENCE,
    DRAWS,
    Array,
    aucs_by_weights,
    f1_by_weights,
    resampling_weights,
    row_losses,
)


def resampled(
    labels: Array, chances: list[Array], answers: list[Array], seed: int
) -> dict[str, list[Array]]:
    """Measures of several models of two classes or more on the same resampled rows.

    Args:
        labels: 0, 1, .. per row.
        chances: of each model, rows x classes.
        answers: of each model, a class per row.
        seed: of the resampling.

    Returns:
        Metric -> an array per model, whose first entry is the value on all rows; one per resampling
        follows, the same rows for every model.
    """
    size = chances[0].shape[1]
    told = np.eye(size)[labels]
    halves = 2 if size == 2 else 1
    rowwise: dict[str, list[Array]] = {
        "log_loss": [row_losses(labels, each) for each in chances],
        "brier": [((each - told) ** 2).sum(axis=1) / halves for each in chances],
        "accuracy": [(each == labels).astype(float) for each in answers],
    }
    drawn = resampling_weights(len(labels), seed)
    parts: dict[str, list[list[Array]]] = {}
    for weights in chain([np.ones((1, len(labels)))], drawn):
        sums = np.maximum(weights.sum(axis=1), 1e-12)
        for place in range(len(chances)):
            values = {
                "roc_auc": _aucs(labels, chances[place], weights),
                "macro_f1": f1_by_weights(labels, answers[place], weights),
                **{name: weights @ each[place] / sums for name, each in rowwise.items()},
            }
            for name, found in values.items():
                parts.setdefault(name, [[] for _ in chances])[place].append(found)
    return {name: [np.concatenate(each) for each in of_models] for name, of_models in parts.items()}


def intervals(
    labels: Array, chances: Array, answers: Array, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Metric -> value on all rows and its 95 % interval; arguments as of `resampled`, of one model."""
    return {
        name: _interval(values)
        for name, (values,) in resampled(labels, [chances], [answers], seed).items()
    }


def resampled_auc(labels: Array, chances: Array, seed: int) -> tuple[float, float, float]:
    """ROC AUC of chances of the second class, and its 95 % interval."""
    found = [
        aucs_by_weights(labels, chances, weights)
        for weights in chain([np.ones((1, len(labels)))], resampling_weights(len(labels), seed))
    ]
    return _interval(np.concatenate(found))


def resampled_f1(labels: Array, answers: Array, seed: int) -> tuple[float, float, float]:
    """Macro-F1 of answers, and its 95 % interval."""
    found = [
        f1_by_weights(labels, answers, weights)
        for weights in chain([np.ones((1, len(labels)))], resampling_weights(len(labels), seed))
    ]
    return _interval(np.concatenate(found))


def mean_interval(values: Array, seed: int) -> tuple[float, float, float]:
    """Mean, and its 95 % interval by the bootstrap."""
    rng = np.random.default_rng(seed)
    size = len(values)
    drawn = [values[rng.integers(0, size, size)].mean() for _ in range(DRAWS)]
    return _interval(np.array([values.mean(), *drawn]))


def _interval(values: Array) -> tuple[float, float, float]:
    edge = (1 - CONFIDENCE) / 2
    low, high = (float(np.quantile(values[1:], q)) for q in (edge, 1 - edge))
    return float(values[0]), low, high


def _aucs(labels: Array, chances: Array, weights: Array) -> Array:
    """Per row of weights; of more than two classes the mean of each against the rest."""
    if chances.shape[1] == 2:
        return aucs_by_weights(labels, chances[:, 1], weights)
    each = [
        aucs_by_weights((labels == one).astype(int), chances[:, one], weights)
        for one in np.unique(labels)
    ]
    mean: Array = np.mean(each, axis=0)
    return mean
