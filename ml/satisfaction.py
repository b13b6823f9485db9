"""`before_survey`: the chance that a customer will call the conversation satisfying.

Candidates are compared on the latest quarter of the training rows, the winner is fitted on all of
them and its chances corrected. The hold-out is touched once, for the figures and the gate.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from ml.baselines import label_encoded
from ml.estimators import (
    Blend,
    Calibrated,
    calibration,
    corrected,
    linear,
    linear_inputs,
    tree_inputs,
    trees,
)
from ml.evaluation import best_threshold, measure
from ml.features import InputSpec, choose_inputs, conform, kinds, known_times
from ml.reasons import centre
from ml.split import Split, split_rows, time_order, usable

Array = np.ndarray[Any, np.dtype[Any]]

STRENGTHS = (0.03, 0.1, 0.3, 1.0)
TREES = ((6, 150), (12, 150))
# A more complex candidate has to be this much better (ROC AUC) than a simpler one.
WORTH_IT = 0.002
ROWS_PER_BUDGET_SECOND = 10_000
FULL_SEARCH_PER_BUDGET_SECOND = 2_000


@dataclass(frozen=True)
class Candidate:
    """A model tried on the inner validation rows; `rank` is its simplicity, 0 first."""

    name: str
    rank: int
    params: dict[str, Any]
    roc_auc: float
    log_loss: float
    seconds: float
    chances: Array


@dataclass(frozen=True)
class Trained:
    """A trained model with everything the run wants to know about it."""

    model: Calibrated
    spec: InputSpec
    columns: dict[str, str]
    split: Split
    candidates: list[Candidate]
    chosen: Candidate
    labels: Array
    chances: Array
    baseline_chances: Array
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    test_inputs: pd.DataFrame
    example: pd.DataFrame
    n_train: int
    threshold: float
    notes: list[str] = field(default_factory=list)


class TooFewLabels(Exception):
    """There is not enough to learn from; the message says what is missing."""


def check_labels(labels: Array, least: int) -> None:
    """Refuse to train on too few answers or on one kind only.

    Raises:
        TooFewLabels: with the count found and the count asked for.
    """
    if len(labels) < least:
        raise TooFewLabels(
            f"{len(labels)} surveyed conversations, {least} are needed (ml.min_labels)"
        )
    if len(np.unique(labels)) < 2:
        kind = "satisfied" if labels[0] == 1 else "not satisfied"
        raise TooFewLabels(
            f"all {len(labels)} surveyed conversations are {kind}: nothing to tell apart"
        )


def most_rows(budget: float) -> int:
    """Labelled rows a training takes, newest first: what fits the time budget on two cores."""
    return int(ROWS_PER_BUDGET_SECOND * budget)


def train_satisfaction(
    frame: pd.DataFrame, inputs: pd.DataFrame, seed: int, budget: float
) -> Trained:
    """Train, choose and measure on labelled conversations.

    The search is cut to size by row counts, never by the clock, so that it can be repeated.

    Args:
        frame: labelled conversations with `conversation_key`, `label`, times.
        inputs: `conversation_inputs(frame)`.
        seed: of every random choice.
        budget: seconds for everything on two cores.

    Raises:
        TooFewLabels: no hold-out with two answers of each kind can be made.
    """
    labels = frame["label"].to_numpy().astype(int)
    times, keys = known_times(frame), frame["conversation_key"]
    split = split_rows(times, keys, labels, seed)
    if not usable(split, labels):
        raise TooFewLabels("no hold-out with at least two answers of each kind can be made")
    spec = choose_inputs(inputs[split.train])
    if not spec.columns:
        raise TooFewLabels("no feature varies among the surveyed conversations")
    columns = kinds(spec)
    order = time_order(times, keys)
    train = order[split.train[order]]
    shaped, train_labels = conform(inputs, columns), labels[train]
    learn = shaped.iloc[train]
    inner = split_rows(times.iloc[train], keys.iloc[train], train_labels, seed + 1)
    if not usable(inner, train_labels):
        inner = Split(_every_fourth(train_labels), "random", "every fourth row of each answer")
    with warnings.catch_warnings():
        _hush()
        candidates = _search(spec, learn, train_labels, inner, seed, budget)
        chosen = choose(candidates)
        model = _fit(spec, learn, train_labels, chosen, candidates, seed)
    slope, intercept = calibration(train_labels[inner.test], chosen.chances)
    model = Calibrated(model, slope, intercept, columns=columns)
    model.centre = centre(model, learn)
    threshold = best_threshold(
        train_labels[inner.test], corrected(chosen.chances, slope, intercept)
    )
    test_inputs = shaped[split.test]
    chances = model.predict_proba(test_inputs)[:, 1]
    recipe = label_encoded(inputs.iloc[train], train_labels)
    baseline = recipe.predict_proba(inputs[split.test][["text", "channel"]])[:, 1]
    return Trained(
        model=model,
        spec=spec,
        columns=columns,
        split=split,
        candidates=candidates,
        chosen=chosen,
        labels=labels[split.test],
        chances=chances,
        baseline_chances=baseline,
        metrics=measure(labels[split.test], chances, threshold),
        baseline_metrics=measure(labels[split.test], baseline),
        test_inputs=inputs[split.test],
        example=learn.tail(5).reset_index(drop=True),
        n_train=len(train),
        threshold=threshold,
    )


def choose(candidates: list[Candidate]) -> Candidate:
    """The simplest candidate within `WORTH_IT` of the best."""
    best = max(candidate.roc_auc for candidate in candidates)
    near = [candidate for candidate in candidates if candidate.roc_auc >= best - WORTH_IT]
    return min(near, key=lambda candidate: (candidate.rank, -candidate.roc_auc))


def _search(
    spec: InputSpec, learn: pd.DataFrame, labels: Array, inner: Split, seed: int, budget: float
) -> list[Candidate]:
    fit, check = learn[inner.train], learn[inner.test]
    fit_labels, check_labels_ = labels[inner.train], labels[inner.test]
    full = len(learn) <= FULL_SEARCH_PER_BUDGET_SECOND * budget
    found: list[Candidate] = []

    def note(name: str, rank: int, params: dict[str, Any], chances: Array, began: float) -> None:
        measured = measure(check_labels_, chances)
        found.append(
            Candidate(
                name,
                rank,
                params,
                measured["roc_auc"],
                measured["log_loss"],
                time.perf_counter() - began,
                chances,
            )
        )

    # The inputs of a family are made once: only the last step differs between its members.
    began = time.perf_counter()
    prepare = linear_inputs(spec)
    left, right = prepare.fit_transform(fit, fit_labels), prepare.transform(check)
    for strength in STRENGTHS if full else STRENGTHS[1:2]:
        model = linear(strength).fit(left, fit_labels)
        note(f"linear C={strength}", 0, {"C": strength}, model.predict_proba(right)[:, 1], began)
        began = time.perf_counter()
    dense = tree_inputs(spec, seed)
    left, right = dense.fit_transform(fit, fit_labels), dense.transform(check)
    for leaves, rounds in TREES if full else TREES[:1]:
        grown = trees(seed, leaves, rounds).fit(left, fit_labels)
        params = {"leaves": leaves, "rounds": rounds}
        note(f"trees leaves={leaves}", 2, params, grown.predict_proba(right)[:, 1], began)
        began = time.perf_counter()
    flat, tall = _best(found, 0), _best(found, 2)
    note("blend", 1, flat.params | tall.params, (flat.chances + tall.chances) / 2, began)
    return found


def _fit(
    spec: InputSpec,
    learn: pd.DataFrame,
    labels: Array,
    chosen: Candidate,
    candidates: list[Candidate],
    seed: int,
) -> Any:
    def flat(candidate: Candidate) -> Pipeline:
        last = linear(candidate.params["C"])
        return Pipeline([("inputs", linear_inputs(spec)), ("model", last)]).fit(learn, labels)

    def tall(candidate: Candidate) -> Pipeline:
        last = trees(seed, candidate.params["leaves"], candidate.params["rounds"])
        return Pipeline([("inputs", tree_inputs(spec, seed)), ("model", last)]).fit(learn, labels)

    if chosen.rank == 0:
        return flat(chosen)
    if chosen.rank == 2:
        return tall(chosen)
    return Blend(flat(_best(candidates, 0)), tall(_best(candidates, 2)))


def _best(candidates: list[Candidate], rank: int) -> Candidate:
    same = [candidate for candidate in candidates if candidate.rank == rank]
    return max(same, key=lambda candidate: candidate.roc_auc)


def _every_fourth(labels: Array) -> Array:
    """A validation mask that holds both answers whenever there are four of each."""
    mask = np.zeros(len(labels), dtype=bool)
    for answer in (0, 1):
        mask[np.flatnonzero(labels == answer)[::4]] = True
    return mask


def _hush() -> None:
    """Narrow bins on columns with few values, and an early stop of the solver, are expected."""
    warnings.filterwarnings("ignore", message="Bins whose width are too small")
    warnings.filterwarnings("ignore", message="Found unknown categories")
    warnings.filterwarnings("ignore", message="Skipping features without any observed values")
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
