"""Models of classes: train on labelled rows, judge on the latest of them.

`before_survey` knows what is known when a conversation closes, `from_comment` also what the survey's
comment says; they differ in rows and text alone. `sentiment` reads single texts. The hold-out is
touched once, for figures and gate.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from carelake.setting_groups.company import Costs
from ml.baselines import RECIPE_INPUTS, label_encoded
from ml.competition import Candidate, Learned, Rows, hush, learn
from ml.curves import LearningPoint, importances, learning_curve
from ml.estimators import Calibrated
from ml.evaluation import Gain, answer, measure, threshold
from ml.features import InputSpec, conform, known_times, people_inputs
from ml.own import NONE, OwnCandidates
from ml.people import what_names_add
from ml.results import SATISFACTION, SATISFIED
from ml.split import Split, split_rows, usable
from ml.tasks import TASKS, Task, Told, gain

Array = np.ndarray[Any, np.dtype[Any]]

ABOUT = ("text", "channel", "language")
LEAST_JUDGED, LEAST_OF_EACH = 100, 10
"""Fewer rows with the better kind of label say too little about a model: then all are judged on."""


@dataclass(frozen=True)
class Trained:
    """A trained model with everything the run wants to know about it.

    `labels`, `chances` and `baseline_chances` (rows x classes) are of the hold-out; `trained_from` and
    `trained_until` when the first and the last label it learned from became known, `held_from` and
    `held_until` the same of the hold-out; ISO, None without.
    """

    task: Task
    classes: tuple[str, ...]
    learned: Learned
    split: Split
    judged: Array
    """Which labelled rows it was judged on: the hold-out, or the part of it with the better labels."""
    labels: Array
    chances: Array
    baseline_chances: Array
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    test_inputs: pd.DataFrame
    groups: pd.DataFrame
    """Channel and language of the rows it was judged on."""
    example: pd.DataFrame
    n_train: int
    names_add: float | None
    train_counts: list[int]
    trained_from: str | None
    trained_until: str | None
    held_from: str | None
    held_until: str | None
    learning: list[LearningPoint]
    importances: dict[str, float]
    notes: list[str] = field(default_factory=list)
    costs: Costs | None = None

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
        """Of two classes: the chance from which on the second is the answer."""
        return threshold(self.model.weights)

    @property
    def is_balanced(self) -> bool:
        """Whether answers take every class for as likely before a text is read: labels are distant."""
        counts = self.train_counts
        return bool(np.allclose(self.model.weights, [counts[0] / count for count in counts]))

    @property
    def told(self) -> Told:
        """What it says of the hold-out."""
        return Told(self.chances, self.model.weights)

    @property
    def baseline(self) -> Told:
        """What the owner's recipe says of it."""
        return Told(self.baseline_chances)

    def gain_over(self, other: Told, seed: int) -> Gain:
        """How much better it is than another on the hold-out, by the gate's measure."""
        return gain(self.task, self.labels, self.told, other, seed)


class TooFewLabels(Exception):
    """There is not enough to learn from; the message says what is missing."""


def check_labels(
    labels: Array,
    least: int,
    what: str = "surveyed conversations",
    classes: tuple[str, ...] = SATISFIED,
) -> None:
    """Refuse to train on too few answers or on one kind only.

    Raises:
        TooFewLabels: with the count found and the count asked for.
    """
    if len(labels) < least:
        raise TooFewLabels(f"{len(labels)} {what}, {least} are needed (ml.min_labels)")
    if len(np.unique(labels)) < 2:
        kind = classes[int(labels[0])]
        raise TooFewLabels(f"all {len(labels)} {what} are {kind}: nothing to tell apart")


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from.

    Args:
        inputs: what the model may take, a frame row by row.
        labels: 0, 1, .. per row, places in `classes`.
        times: when each label became known.
        keys: one unique key per row.
        classes: names of the labels that occur.
        about: `text`, `channel` and `language` of each row: two for the owner's recipe, and what
            figures are told apart by.
        people: names that are no inputs, where there are any.
        kinds: of two sorts of labels which one each row has; the model is judged on those called
            `better` alone where they are enough.
        better: the sort that is nearer to the truth.
    """

    inputs: pd.DataFrame
    labels: Array
    times: pd.Series[Any]
    keys: pd.Series[Any]
    about: pd.DataFrame
    classes: tuple[str, ...] = SATISFIED
    people: pd.DataFrame | None = None
    kinds: pd.Series[Any] | None = None
    better: str = ""


def train_satisfaction(
    frame: pd.DataFrame,
    inputs: pd.DataFrame,
    seed: int,
    budget: float,
    own: OwnCandidates = NONE,
    task: Task = TASKS[SATISFACTION],
) -> Trained:
    """Train, choose and measure on labelled conversations.

    Args:
        frame: labelled conversations with `conversation_key`, `label`, times.
        inputs: `conversation_inputs(frame)`.
        seed: of every random choice.
        budget: seconds for everything on two cores.
        own: a company's candidates.
        task: which of the two models.

    Raises:
        TooFewLabels: no hold-out with two answers of each kind can be made.
    """
    rows = Labelled(
        inputs,
        frame["label"].to_numpy().astype(int),
        known_times(frame),
        frame["conversation_key"],
        inputs[list(ABOUT)],
        people=people_inputs(frame),
    )
    return train_classes(task, rows, seed, budget, own)


def train_classes(
    task: Task,
    labelled: Labelled,
    seed: int,
    budget: float,
    own: OwnCandidates = NONE,
    costs: Costs | None = None,
) -> Trained:
    """Train, choose and measure on labelled rows of any task; other arguments as of `train_satisfaction`.

    Args:
        task: which model.
        labelled: its rows.
        seed: of every random choice.
        budget: seconds for everything on two cores.
        own: a company's candidates.
        costs: of wrong answers, of two classes; they set the threshold instead of macro-F1.

    Raises:
        TooFewLabels: no hold-out with two answers of each kind can be made.
    """
    labels, inputs = labelled.labels, labelled.inputs
    everything = Rows(inputs, labels, labelled.times, labelled.keys)
    split = split_rows(everything.times, everything.keys, labels, seed)
    if not usable(split, labels):
        raise TooFewLabels("no hold-out with at least two answers of each kind can be made")
    train = everything.take(np.flatnonzero(split.train)).sorted_by_time()
    try:
        learned = learn(train, seed, budget, own, task.search)
    except ValueError as nothing:
        raise TooFewLabels(str(nothing)) from nothing
    about = labelled.about
    baseline_model = label_encoded(about.loc[train.inputs.index], train.labels)
    if not _has_better(labelled, split):
        # how often each class comes among distant labels says nothing of other texts
        learned.model.weights = _balanced(train.labels)
    if costs is not None:
        # Chances are calibrated, so the cheaper answer is the one with less chance times cost against it.
        learned.model.weights = (costs.missed, costs.needless)
    judged, apart, notes = _judged(labelled, split, learned)
    test_inputs = inputs[judged]
    chances = learned.model.predict_proba(test_inputs)
    baseline = baseline_model.predict_proba(about.loc[judged, RECIPE_INPUTS])
    return Trained(
        task=task,
        classes=labelled.classes,
        learned=learned,
        split=split,
        judged=judged,
        labels=labels[judged],
        chances=chances,
        baseline_chances=baseline,
        metrics=measure(labels[judged], chances, learned.model.weights)
        | apart
        | _mean_costs(labels[judged], answer(chances, learned.model.weights), costs),
        baseline_metrics=measure(labels[judged], baseline),
        test_inputs=test_inputs,
        groups=about[judged].drop(columns="text"),
        example=conform(train.inputs, learned.columns).tail(5).reset_index(drop=True),
        n_train=len(train.labels),
        names_add=_names_add(learned, labelled, split),
        train_counts=np.bincount(train.labels, minlength=len(labelled.classes)).tolist(),
        trained_from=_iso(train.times.min()),
        trained_until=_iso(train.times.max()),
        held_from=_iso(everything.times[split.test].min()),
        held_until=_iso(everything.times[split.test].max()),
        learning=learning_curve(train, learned, seed),
        importances=importances(
            learned.model, conform(test_inputs, learned.columns), labels[judged], seed
        ),
        notes=[*notes, *learned.faults],
        costs=costs,
    )


def _mean_costs(labels: Array, answers: Array, costs: Costs | None) -> dict[str, float]:
    """What answers cost per row, beside taking everybody for satisfied, and for dissatisfied."""
    if costs is None:
        return {}
    unsatisfied = labels == 0
    return {
        "mean_cost": float(
            costs.missed * np.mean(unsatisfied & (answers == 1))
            + costs.needless * np.mean(~unsatisfied & (answers == 0))
        ),
        "mean_cost_all_satisfied": float(costs.missed * np.mean(unsatisfied)),
        "mean_cost_none_satisfied": float(costs.needless * np.mean(~unsatisfied)),
    }


def _has_better(labelled: Labelled, split: Split) -> bool:
    """Whether the hold-out has enough of the better labels; true where there is one sort only."""
    if labelled.kinds is None:
        return True
    here = split.test & (labelled.kinds == labelled.better).to_numpy()
    counts = np.bincount(labelled.labels[here], minlength=len(labelled.classes))
    return bool(here.sum() >= LEAST_JUDGED and counts.min() >= LEAST_OF_EACH)


def _balanced(labels: Array) -> tuple[float, ...]:
    """Weights under which every class is as likely before a text is read; the first is 1."""
    counts = np.bincount(labels)
    return tuple(float(counts[0] / count) for count in counts)


def _judged(
    labelled: Labelled, split: Split, learned: Learned
) -> tuple[Array, dict[str, float], list[str]]:
    """Which rows to judge on, figures of each sort of labels apart, and what to say of both."""
    if labelled.kinds is None:
        return split.test, {}, []
    apart: dict[str, float] = {}
    chosen, notes = split.test, []
    has_better = _has_better(labelled, split)
    for kind in sorted(labelled.kinds.unique()):
        here = split.test & (labelled.kinds == kind).to_numpy()
        truth = labelled.labels[here]
        apart[f"n_{kind}"] = float(len(truth))
        notes.append(
            f"Labels told by {kind}: {int((labelled.kinds == kind).sum()):,}, {len(truth):,} held out."
        )
        if len(truth) == 0:
            continue
        found = measure(
            truth, learned.model.predict_proba(labelled.inputs[here]), learned.model.weights
        )
        apart |= {f"{name}_{kind}": found[name] for name in ("macro_f1", "log_loss", "accuracy")}
        if has_better and kind == labelled.better:
            chosen = here
    return chosen, apart, notes


def _names_add(learned: Learned, labelled: Labelled, split: Split) -> float | None:
    if labelled.people is None:
        return None
    with warnings.catch_warnings():
        hush()
        return what_names_add(learned, labelled.inputs, labelled.people, labelled.labels, split)


def _iso(moment: Any) -> str | None:
    return None if pd.isna(moment) else str(moment.isoformat())
