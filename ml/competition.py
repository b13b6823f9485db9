"""Candidates compete on rows they have not seen; the simplest within noise of the best wins.

The same code serves every model that gives chances of classes, and the benchmark of real data.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from ml.deep import STRENGTHS, deep_inputs, embeddings_join
from ml.estimators import (
    Blend,
    Calibrated,
    calibration,
    corrected,
    folds,
    linear_inputs,
    tree_inputs,
    trees,
)
from ml.evaluation import best_weights, measure, row_losses
from ml.features import LEAST_TEXTS, InputSpec, choose_inputs, conform, kinds
from ml.linear import Linear, Pair
from ml.network import Network, WithNetwork
from ml.own import NONE, WHATEVER, OwnCandidates, attempt, fitted, left_out
from ml.reasons import centre
from ml.split import split_rows, time_order, usable

Array = np.ndarray[Any, np.dtype[Any]]

PLAIN = (0.1, 0.3, 1.0, 3.0)
WEIGHTED = (0.3, 1.0, 3.0)
LEAVES = (4, 10)
ROUNDS = 150
SHARES = (0.25, 0.5, 0.75)
NETWORK = "network"
RULE = "the simplest whose mean log loss is within one standard error of the best's, row by row"
ROWS_PER_BUDGET_SECOND = 10_000
FULL_SEARCH_PER_BUDGET_SECOND = 2_000


class Rank(IntEnum):
    """How simple a candidate is, the simplest first."""

    PLAIN = 0
    WEIGHTED = 1
    PAIR = 2
    NETWORK = 3
    BLEND = 4
    TREES = 5
    DEEP = 6
    """The dearest of ours: a text takes milliseconds, and a package of gigabytes."""
    OWN = 7
    """Nobody here knows how simple a company's own is: it has to beat all others beyond noise."""


@dataclass(frozen=True)
class Search:
    """Which settings of which families are tried; without leaves no trees, and no blend with them."""

    plain: tuple[float, ...] = PLAIN
    weighted: tuple[float, ...] = WEIGHTED
    has_network: bool = True
    leaves: tuple[int, ...] = LEAVES
    deep: tuple[float, ...] = STRENGTHS
    """Strengths of linear models on sentence embeddings, where the extra `deep` is installed."""

    def for_rows(self, is_full: bool) -> Search:
        """The search itself, or what of it fits the time budget when rows are many."""
        if is_full:
            return self
        return Search(self.plain[1:2], self.weighted[1:2], False, self.leaves[:1], ())


FULL = Search()


@dataclass(frozen=True)
class Candidate:
    """A model tried on rows it had not seen.

    `chances` are calibrated on those rows; `slope` and `shifts` are the correction.
    """

    name: str
    rank: Rank
    params: dict[str, Any]
    metrics: dict[str, float]
    losses: Array
    seconds: float
    raw: Array
    chances: Array
    slope: float
    shifts: tuple[float, ...]


@dataclass(frozen=True)
class Learned:
    """A fitted model with how it was chosen."""

    model: Calibrated
    spec: InputSpec
    columns: dict[str, str]
    candidates: list[Candidate]
    chosen: Candidate
    how: str
    labels: Array
    """Of the rows candidates were compared on."""
    faults: tuple[str, ...] = ()
    """Candidates that could not compete, and why."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows, earliest first: what a model may learn from.

    Args:
        inputs: from `conversation_inputs`.
        labels: 0, 1, .. per row.
        times: when each label became known, missing where unknown.
        keys: one unique key per row.
    """

    inputs: pd.DataFrame
    labels: Array
    times: pd.Series[Any]
    keys: pd.Series[Any]

    def sorted_by_time(self) -> Rows:
        """The same rows in the one order that models are trained in, whatever order they came in."""
        return self.take(time_order(self.times, self.keys))

    def take(self, places: Array) -> Rows:
        """Some of the rows."""
        return Rows(
            self.inputs.iloc[places],
            self.labels[places],
            self.times.iloc[places],
            self.keys.iloc[places],
        )


def most_rows(budget: float) -> int:
    """Labelled rows a training takes, newest first: what fits the time budget on two cores."""
    return int(ROWS_PER_BUDGET_SECOND * budget)


def learn(
    rows: Rows, seed: int, budget: float, own: OwnCandidates = NONE, search: Search = FULL
) -> Learned:
    """Choose inputs, let candidates compete, fit the winner on all rows, calibrate it.

    The search is cut to size by row counts, never by the clock, so that it can be repeated.

    Args:
        rows: at least two rows of each of two or more classes, in the order of `sorted_by_time`.
        seed: of every random choice.
        budget: seconds for everything on two cores.
        own: a company's candidates, which count as the least simple.
        search: which of ours compete.

    Raises:
        ValueError: no column varies, so there is nothing to learn from.
    """
    spec = choose_inputs(rows.inputs)
    if not spec.columns:
        raise ValueError(
            f"no feature varies among the {len(rows.labels):,} labelled rows "
            f"(texts are one from {LEAST_TEXTS} on)"
        )
    columns = kinds(spec)
    shaped = conform(rows.inputs, columns)
    is_full = len(shaped) <= FULL_SEARCH_PER_BUDGET_SECOND * budget
    parts, how = validation(rows, seed, is_full)
    search = search.for_rows(is_full)
    faults = list(own.faults)
    if search.deep:
        joins, why = embeddings_join(shaped, budget)
        search = search if joins else replace(search, deep=())
        faults += why
    with warnings.catch_warnings():
        hush()
        candidates, checked = _compete(spec, shaped, rows.labels, parts, seed, search)
        for each in own.classes:
            tried, fault = attempt(each, shaped, rows.labels, parts)
            if tried is None:
                faults.append(fault)
                continue
            told = (tried.params, tried.chances, checked, tried.seconds)
            candidates.append(_candidate(f"own: {tried.name}", Rank.OWN, *told))
        chosen = choose(candidates)
        try:
            model = _fit(spec, shaped, rows.labels, chosen, candidates, seed, own)
        except WHATEVER as error:
            if chosen.rank != Rank.OWN:
                raise
            # What learns from some rows may still fail on all of them: then the best of ours is taken.
            faults.append(left_out(str(chosen.params["class"]), error))
            candidates = [each for each in candidates if each.rank != Rank.OWN]
            chosen = choose(candidates)
            model = _fit(spec, shaped, rows.labels, chosen, candidates, seed)
    weights = best_weights(checked, chosen.chances)
    fitted = Calibrated(model, chosen.slope, chosen.shifts, columns=columns, weights=weights)
    fitted.centre = centre(fitted, shaped)
    return Learned(fitted, spec, columns, candidates, chosen, how, checked, tuple(faults))


def validation(rows: Rows, seed: int, is_full: bool) -> tuple[list[tuple[Array, Array]], str]:
    """Pairs of row positions (learn, check). Later in time where there are times, else folds.

    Later in time means: the last quarter told from what came before, and the part before it likewise.
    """
    last = split_rows(rows.times, rows.keys, rows.labels, seed)
    if last.kind != "later in time" or not usable(last, rows.labels):
        return folds(rows.labels, seed, 3), "3 folds, random: no later part holds every answer"
    before, after = np.flatnonzero(last.train), np.flatnonzero(last.test)
    parts = [(before, after)]
    if is_full:
        earlier = rows.take(before)
        first = split_rows(earlier.times, earlier.keys, earlier.labels, seed)
        if first.kind == "later in time" and usable(first, earlier.labels):
            parts.append((before[first.train], before[first.test]))
    return parts, f"later in time, {len(parts)} part(s) told from what came before"


def choose(candidates: list[Candidate]) -> Candidate:
    """The simplest candidate within noise of the best.

    Noise is one standard error of the difference in log loss on the same rows. A winner by less would
    be another one on other rows, and the simpler one is quicker and easier to explain.
    """
    best = min(candidates, key=lambda candidate: (candidate.losses.mean(), candidate.rank))
    near = [one for one in candidates if _is_near(one.losses - best.losses)]
    return min(near, key=lambda candidate: (candidate.rank, candidate.losses.mean()))


def _is_near(worse_by: Array) -> bool:
    return float(worse_by.mean()) <= float(worse_by.std() / np.sqrt(len(worse_by)))


def _compete(
    spec: InputSpec,
    shaped: pd.DataFrame,
    labels: Array,
    parts: list[tuple[Array, Array]],
    seed: int,
    search: Search,
) -> tuple[list[Candidate], Array]:
    """Every candidate on every part; also the labels of the rows they were checked on."""
    models: list[tuple[str, Rank, dict[str, Any], Any]] = [
        *((f"linear C={c}", Rank.PLAIN, {"plain": c}, Linear(c)) for c in search.plain),
        *(
            (f"weighted C={c}", Rank.WEIGHTED, {"weighted": c}, Linear(c, is_weighted=True))
            for c in search.weighted
        ),
    ]
    if search.has_network and spec.has_text:
        models.append((NETWORK, Rank.NETWORK, {"network": seed}, Network(seed)))
    grown: list[tuple[str, Rank, dict[str, Any], Any]] = [
        (f"trees leaves={n}", Rank.TREES, {"leaves": n, "rounds": ROUNDS}, trees(seed, n, ROUNDS))
        for n in search.leaves
    ]
    read: list[tuple[str, Rank, dict[str, Any], Any]] = [
        (f"embeddings C={c}", Rank.DEEP, {"deep": c}, Linear(c)) for c in search.deep
    ]
    found: dict[str, list[Array]] = {}
    spent: dict[str, float] = {}
    classes = len(np.unique(labels))
    for learned, checked in parts:
        fit, check = shaped.iloc[learned], shaped.iloc[checked]
        # The inputs of a family are made once: only the last step differs between its members.
        families = [(linear_inputs(spec), models), (tree_inputs(spec, seed, classes), grown)]
        families += [(deep_inputs(spec), read)] if read else []
        for prepare, members in families:
            if not members:
                continue
            began = time.perf_counter()
            left, right = prepare.fit_transform(fit, labels[learned]), prepare.transform(check)
            for name, _, _, model in members:
                chances = model.fit(left, labels[learned]).predict_proba(right)
                found.setdefault(name, []).append(chances)
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
                began = time.perf_counter()
    truth = labels[np.concatenate([checked for _, checked in parts])]
    tried = [
        _candidate(name, rank, params, np.vstack(found[name]), truth, spent[name])
        for name, rank, params, _ in [*models, *grown, *read]
    ]
    # networks and embeddings alone give no reasons: they compete beside a linear model only
    alone = [one for one in tried if one.name != NETWORK and one.rank != Rank.DEEP]
    return alone + _blends(tried, truth), truth


def _blends(candidates: list[Candidate], truth: Array) -> list[Candidate]:
    """Blend the best of each family; the shares with the lowest loss on these rows are taken."""
    plain, weighted = (_best(candidates, rank) for rank in (Rank.PLAIN, Rank.WEIGHTED))
    tall = [one for one in candidates if one.rank == Rank.TREES]

    def mixed(name: str, rank: Rank, one: Candidate, other: Candidate, key: str) -> Candidate:
        tried = [
            _candidate(
                name,
                rank,
                one.params | other.params | {key: share},
                (1 - share) * one.raw + share * other.raw,
                truth,
                0.0,
            )
            for share in SHARES
        ]
        return _least(tried)

    made = [mixed("linear and weighted", Rank.PAIR, plain, weighted, "share_weighted")]
    flat = _least((plain, weighted, *made))
    alone = [one for one in candidates if one.name == NETWORK]
    if alone:
        made.append(mixed("linear and network", Rank.NETWORK, flat, alone[0], "share_network"))
        flat = _least((flat, made[-1]))
    if tall:
        made.append(mixed("blend", Rank.BLEND, flat, _least(tall), "share_trees"))
        flat = _least((flat, made[-1]))
    read = [one for one in candidates if one.rank == Rank.DEEP]
    if read:
        made.append(mixed("with embeddings", Rank.DEEP, flat, _least(read), "share_deep"))
    return made


def _candidate(
    name: str, rank: Rank, params: dict[str, Any], raw: Array, truth: Array, seconds: float
) -> Candidate:
    slope, shifts = calibration(truth, raw)
    chances = corrected(raw, slope, shifts)
    losses = row_losses(truth, chances)
    metrics = measure(truth, chances)
    return Candidate(name, rank, params, metrics, losses, seconds, raw, chances, slope, shifts)


def _fit(
    spec: InputSpec,
    shaped: pd.DataFrame,
    labels: Array,
    chosen: Candidate,
    candidates: list[Candidate],
    seed: int,
    own: OwnCandidates = NONE,
) -> Any:
    params = chosen.params

    def flat() -> Pipeline:
        last: Any = Linear(params.get("plain", 1.0))
        if "plain" in params and "weighted" in params:
            last = Pair(params["plain"], params["weighted"], params["share_weighted"])
        elif "weighted" in params:
            last = Linear(params["weighted"], is_weighted=True)
        if "share_network" in params:
            last = WithNetwork(last, params["network"], params["share_network"])
        return Pipeline([("inputs", linear_inputs(spec)), ("model", last)]).fit(shaped, labels)

    if chosen.rank < Rank.BLEND:
        return flat()
    if chosen.rank == Rank.OWN:
        theirs = next(each for each in own.classes if each.name == chosen.params["class"])
        made = fitted(theirs, shaped, labels)
        params = _best(candidates, Rank.PLAIN).params
        return Blend(flat(), made, 1.0)

    def tall() -> Pipeline:
        last = trees(seed, params["leaves"], params["rounds"])
        dense = tree_inputs(spec, seed, len(np.unique(labels)))
        return Pipeline([("inputs", dense), ("model", last)]).fit(shaped, labels)

    if chosen.rank == Rank.DEEP:
        last = Linear(params["deep"])
        read = Pipeline([("inputs", deep_inputs(spec)), ("model", last)]).fit(shaped, labels)
        share = params["share_deep"]
        if "share_trees" not in params:
            return Blend(flat(), read, share)
        # the linear model outside, where reasons are read; the shares are those of the competition
        rest = share + (1 - share) * params["share_trees"]
        return Blend(flat(), Blend(tall(), read, share / rest), rest)
    if chosen.rank == Rank.TREES:
        # Trees give no reasons: the best linear model beside them tells those, and has no say.
        grown = tall()
        params = _best(candidates, Rank.PLAIN).params
        return Blend(flat(), grown, 1.0)
    return Blend(flat(), tall(), params["share_trees"])


def _best(candidates: list[Candidate], rank: int) -> Candidate:
    same = [candidate for candidate in candidates if candidate.rank == rank]
    return _least(same)


def _least(candidates: Iterable[Candidate]) -> Candidate:
    return min(candidates, key=lambda candidate: float(candidate.losses.mean()))


def hush() -> None:
    """Within `catch_warnings`: narrow bins, rare classes and an early stop of the solver are expected."""
    warnings.filterwarnings("ignore", message="Bins whose width are too small")
    warnings.filterwarnings("ignore", message=r"Feature \d+ is constant")
    warnings.filterwarnings("ignore", message="The least populated class")
    warnings.filterwarnings("ignore", message="Found unknown categories")
    warnings.filterwarnings("ignore", message="Skipping features without any observed values")
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
