"""Models of satisfaction: train on labelled conversations, judge on the latest of them.

`before_survey` knows what is known when a conversation closes, `from_comment` also what the survey's
comment says. They differ in rows and text alone. The hold-out is touched once, for figures and gate.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ml.baselines import label_encoded
from ml.competition import Candidate, Learned, Rows, hush, learn
from ml.estimators import Calibrated
from ml.evaluation import measure, threshold
from ml.features import InputSpec, conform, known_times, people_inputs
from ml.people import what_names_add
from ml.split import Split, split_rows, usable

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Trained:
    """A trained model with everything the run wants to know about it.

    `chances` and `baseline_chances` are those of being satisfied, on the hold-out.
    """

    learned: Learned
    split: Split
    labels: Array
    chances: Array
    baseline_chances: Array
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    test_inputs: pd.DataFrame
    example: pd.DataFrame
    n_train: int
    names_add: float | None
    notes: list[str] = field(default_factory=list)

    @property
    def model(self) -> Calibrated:
        """The fitted model."""
        return self.learned.model

    @property
    def spec(self) -> InputSpec:
        """Its inputs."""
        return self.learned.spec

    @property
    def columns(self) -> dict[str, str]:
        """Input -> "text" or "number"."""
        return self.learned.columns

    @property
    def candidates(self) -> list[Candidate]:
        """All that competed."""
        return self.learned.candidates

    @property
    def chosen(self) -> Candidate:
        """Which of them won."""
        return self.learned.chosen

    @property
    def threshold(self) -> float:
        """The chance from which on "satisfied" is the answer."""
        return threshold(self.model.weights)


class TooFewLabels(Exception):
    """There is not enough to learn from; the message says what is missing."""


def check_labels(labels: Array, least: int, what: str = "surveyed conversations") -> None:
    """Refuse to train on too few answers or on one kind only.

    Raises:
        TooFewLabels: with the count found and the count asked for.
    """
    if len(labels) < least:
        raise TooFewLabels(f"{len(labels)} {what}, {least} are needed (ml.min_labels)")
    if len(np.unique(labels)) < 2:
        kind = "satisfied" if labels[0] == 1 else "not satisfied"
        raise TooFewLabels(f"all {len(labels)} {what} are {kind}: nothing to tell apart")


def train_satisfaction(
    frame: pd.DataFrame, inputs: pd.DataFrame, seed: int, budget: float
) -> Trained:
    """Train, choose and measure on labelled conversations.

    Args:
        frame: labelled conversations with `conversation_key`, `label`, times.
        inputs: `conversation_inputs(frame)`.
        seed: of every random choice.
        budget: seconds for everything on two cores.

    Raises:
        TooFewLabels: no hold-out with two answers of each kind can be made.
    """
    labels = frame["label"].to_numpy().astype(int)
    everything = Rows(inputs, labels, known_times(frame), frame["conversation_key"])
    split = split_rows(everything.times, everything.keys, labels, seed)
    if not usable(split, labels):
        raise TooFewLabels("no hold-out with at least two answers of each kind can be made")
    train = everything.take(np.flatnonzero(split.train)).sorted_by_time()
    try:
        learned = learn(train, seed, budget)
    except ValueError as nothing:
        raise TooFewLabels(str(nothing)) from nothing
    test_inputs = inputs[split.test]
    chances = learned.model.predict_proba(test_inputs)
    recipe = label_encoded(train.inputs, train.labels)
    baseline = recipe.predict_proba(test_inputs[["text", "channel"]])
    with warnings.catch_warnings():
        hush()
        names_add = what_names_add(learned, inputs, people_inputs(frame), labels, split)
    return Trained(
        learned=learned,
        split=split,
        labels=labels[split.test],
        chances=chances[:, 1],
        baseline_chances=baseline[:, 1],
        metrics=measure(labels[split.test], chances, learned.model.weights),
        baseline_metrics=measure(labels[split.test], baseline),
        test_inputs=test_inputs,
        example=conform(train.inputs, learned.columns).tail(5).reset_index(drop=True),
        n_train=len(train.labels),
        names_add=names_add,
    )
