"""What the models of classes have in common, and in what they differ: classes, measure, search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.competition import FULL, Search
from ml.evaluation import Array, Gain, answer, auc_gain, f1_gain
from ml.results import FROM_COMMENT, SATISFACTION, SATISFIED, SENTIMENT, SENTIMENTS

MEASURES = {"roc_auc": "ROC AUC", "macro_f1": "macro-F1"}


@dataclass(frozen=True)
class Task:
    """One question of classes.

    Args:
        name: of the registered model.
        classes: that there may be; rows of `train` may hold fewer of them.
        metric: what the gate compares, a key of `MEASURES`.
        rows: what is learned from, in words.
        search: which candidates compete.
    """

    name: str
    classes: tuple[str, ...]
    metric: str
    rows: str
    search: Search = FULL

    @property
    def title(self) -> str:
        """The gate's measure in words."""
        return MEASURES[self.metric]


TASKS = {
    task.name: task
    for task in (
        Task(SATISFACTION, SATISFIED, "roc_auc", "surveyed conversations"),
        Task(FROM_COMMENT, SATISFIED, "roc_auc", "surveyed conversations with a comment"),
        Task(
            SENTIMENT,
            SENTIMENTS,
            "macro_f1",
            "texts with a known sentiment",
            # millions of texts are scored by it: no networks, and trees have nothing but the text
            Search((0.3, 1.0, 3.0), (0.3, 1.0), has_network=False, leaves=(), deep=()),
        ),
    )
}


@dataclass(frozen=True)
class Told:
    """What one model says of rows: chances (rows x classes), and the weights its answers are chosen by."""

    chances: Array
    weights: Any = None

    @property
    def answers(self) -> Array:
        """A class per row."""
        return answer(self.chances, self.weights)


def gain(task: Task, labels: Array, ours: Told, theirs: Told, seed: int) -> Gain:
    """How much better one model is than another by the gate's measure, on the same rows."""
    if task.metric == "macro_f1":
        return f1_gain(labels, ours.answers, theirs.answers, seed)
    return auc_gain(labels, ours.chances[:, 1], theirs.chances[:, 1], seed)


def spread_out(chances: Array, had: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    """Chances in the columns of other classes; what a model does not know has chance 0."""
    if had == wanted:
        return chances
    wide = np.zeros((len(chances), len(wanted)))
    for place, name in enumerate(had):
        if name in wanted:
            wide[:, wanted.index(name)] = chances[:, place]
    return wide
