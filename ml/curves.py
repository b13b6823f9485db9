"""What more rows would bring, and which inputs a model leans on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml.competition import Learned, Rows, hush
from ml.estimators import linear_inputs
from ml.evaluation import Array, mean_auc
from ml.features import conform
from ml.linear import Linear
from ml.split import split_rows, usable

SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)
LEAST_ROWS = 40
MOST_ROWS = 20_000
MOST_CHECKED = 500


@dataclass(frozen=True)
class LearningPoint:
    """ROC AUC of a linear model that learned from so many rows: on those, and on rows it had not seen."""

    n: int
    learned: float
    unseen: float


def learning_curve(rows: Rows, learned: Learned, seed: int) -> list[LearningPoint]:
    """The best linear candidate on the newest 1/8, 1/4, .. of the rows, told on the last quarter.

    The hold-out is not touched. Empty where no later part holds both answers; of many rows the newest
    20,000 are taken, since fits take time.

    Args:
        rows: that the model learned from, in their order.
        learned: the model.
        seed: of the split.
    """
    if len(rows.labels) > MOST_ROWS:
        rows = rows.take(np.arange(len(rows.labels) - MOST_ROWS, len(rows.labels)))
    split = split_rows(rows.times, rows.keys, rows.labels, seed)
    if not usable(split, rows.labels):
        return []
    strength = min(
        (one for one in learned.candidates if one.rank == 0), key=lambda one: one.losses.mean()
    ).params["plain"]
    shaped = conform(rows.inputs, learned.columns)
    size = len(learned.model.classes_)
    before, after = np.flatnonzero(split.train), np.flatnonzero(split.test)
    points = []
    with warnings.catch_warnings():
        hush()
        # of few rows an input may have one value only
        warnings.filterwarnings("ignore", message="Feature .* is constant")
        for share in SHARES:
            places = before[-max(1, round(len(before) * share)) :]
            labels = rows.labels[places]
            if len(places) < LEAST_ROWS or np.bincount(labels, minlength=size).min() < 2:
                continue
            model = Pipeline(
                [("inputs", linear_inputs(learned.spec)), ("model", Linear(strength))]
            ).fit(shaped.iloc[places], labels)
            aucs = [
                mean_auc(rows.labels[told], model.predict_proba(shaped.iloc[told]))
                for told in (places, after)
            ]
            points.append(LearningPoint(len(places), *aucs))
    return points


def importances(model: Any, inputs: pd.DataFrame, labels: Array, seed: int) -> dict[str, float]:
    """Input -> ROC AUC lost when its values are dealt out anew among the rows.

    It holds for any model, a company's own as well. Two inputs that say the same share what they are worth.

    Args:
        model: fitted.
        inputs: hold-out rows in the model's columns; the first 500 of a seeded order are taken.
        labels: 0, 1, .. per row.
        seed: of that order and the dealing.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(labels))[:MOST_CHECKED])
    rows, truth = inputs.iloc[chosen].reset_index(drop=True), labels[chosen]
    if np.bincount(truth, minlength=len(model.classes_)).min() < 2:
        return {}
    whole = mean_auc(truth, model.predict_proba(rows))
    lost = {}
    for name in rows.columns:
        dealt = rows.assign(**{str(name): rows[name].to_numpy()[rng.permutation(len(rows))]})
        lost[str(name)] = whole - mean_auc(truth, model.predict_proba(dealt))
    return lost
