"""Two versions of a model on the same rows: per measure, which is better beyond noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carelake.errors import ConfigError
from carelake.settings import Home, Settings
from ml import features as data
from ml import segmentation
from ml.evaluation import CONFIDENCE, DRAWS, Array
from ml.making import labelled_rows
from ml.overruling import check_name, find_version
from ml.registry import Champion, Registry
from ml.resampling import resampled
from ml.results import SEGMENTS
from ml.split import split_rows
from ml.tasks import Told, spread_out

LOWER_IS_BETTER = frozenset({"brier", "log_loss"})
LEAST_OF_EACH = 2


@dataclass(frozen=True)
class Measured:
    """One measure of both versions. `lower` and `upper` bound second - first (95 %, paired bootstrap).

    `winner` is the version that is better beyond noise, None where neither is.
    """

    metric: str
    first: float
    second: float
    lower: float
    upper: float
    winner: int | None


@dataclass(frozen=True)
class Comparison:
    """Both versions on the same rows, which neither learned from; `rows` says which these are."""

    model_name: str
    first: int
    second: int
    n: int
    rows: str
    measures: list[Measured]


def compare_versions(
    home: Home,
    settings: Settings,
    folder: Path,
    name: str,
    first: int | None,
    second: int | None,
) -> Comparison:
    """Hold a version against another on the newest features.

    The rows are the hold-out of these features, without those that one of the two had learned from.

    Args:
        first: a version; without, the champion.
        second: another one; without, the challenger.

    Raises:
        ConfigError: a version is not there, or the rows are too few to tell.
        UntrustedModel: a version's files are not those registered.
    """
    check_name(name)
    registry = Registry(home)
    found = registry.champion(name) if first is None else find_version(registry, name, first)
    if found is None:
        raise ConfigError(f"{name} has no champion; name two versions")
    one = registry.load(found)
    other = registry.load(find_version(registry, name, second))
    if one.version == other.version:
        raise ConfigError(f"{name} version {one.version} is compared with itself; name another one")
    if name == SEGMENTS:
        return _segments(folder, settings.random_seed, one, other)
    return _chances(folder, settings, one, other)


def _chances(folder: Path, settings: Settings, one: Champion, other: Champion) -> Comparison:
    rows = labelled_rows(one.name, settings, folder).labelled
    labels, times, seed = rows.labels, rows.times, settings.random_seed
    split = split_rows(times, rows.keys, labels, seed)
    chosen, words = split.test, split.words
    if split.kind == "later in time":
        learned = [each.trained_until for each in (one, other)]
        known = [pd.Timestamp(each) for each in learned if each]
        if known and (times[chosen] <= max(known)).any():
            chosen = chosen & (times > max(known)).to_numpy()
            words = f"later in time: known after {max(known).isoformat()}"
    if np.bincount(labels[chosen], minlength=len(rows.classes)).min() < LEAST_OF_EACH:
        raise ConfigError(
            f"{one.name}: too few labels came after both versions were trained; compare when more have"
        )
    told = [_told_by(each, rows.inputs[chosen], rows.classes) for each in (one, other)]
    chances, answers = [each.chances for each in told], [each.answers for each in told]
    truth = labels[chosen]
    measures = [
        _told(metric, one.version, other.version, *values)
        for metric, values in resampled(truth, chances, answers, seed).items()
    ]
    return Comparison(one.name, one.version, other.version, len(truth), words, measures)


def _told_by(version: Champion, inputs: pd.DataFrame, classes: tuple[str, ...]) -> Told:
    chances = version.model.predict_proba(data.conform(inputs, version.columns))
    weights = np.array([version.model.weights])
    return Told(*(spread_out(each, version.classes, classes) for each in (chances, weights)))


def _told(metric: str, first: int, second: int, one: Array, other: Array) -> Measured:
    differences = other - one
    edge = (1 - CONFIDENCE) / 2
    lower, upper = (float(np.quantile(differences[1:], q)) for q in (edge, 1 - edge))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    better, worse = (second, first) if sign > 0 else (first, second)
    winner = better if lower > 0 else worse if upper < 0 else None
    return Measured(metric, float(one[0]), float(other[0]), lower, upper, winner)


def _segments(folder: Path, seed: int, one: Champion, other: Champion) -> Comparison:
    customers = data.read_customers(folder)
    try:
        found = segmentation.segment_customers(customers, seed)
    except segmentation.TooFewCustomers as few:
        raise ConfigError(f"{SEGMENTS}: {few}") from few
    values = [
        segmentation.silhouettes_in(found.points, segmentation.assign(each.model, found.sample)[0])
        for each in (one, other)
    ]
    rng = np.random.default_rng(seed)
    size = len(found.sample)
    drawn: list[Array] = [np.arange(size), *(rng.integers(0, size, size) for _ in range(DRAWS))]
    first, second = (np.array([each[rows].mean() for rows in drawn]) for each in values)
    measured = _told("silhouette", one.version, other.version, first, second)
    words = "all customers with orders, or a sample of them; both versions assign, neither is told"
    return Comparison(SEGMENTS, one.version, other.version, size, words, [measured])


def as_rows(found: Comparison) -> list[list[Any]]:
    """A comparison for a table, a row per measure."""
    return [
        [
            each.metric,
            round(each.first, 4),
            round(each.second, 4),
            f"{each.second - each.first:+.4f} [{each.lower:+.4f}, {each.upper:+.4f}]",
            f"version {each.winner}" if each.winner else "neither: within noise",
        ]
        for each in found.measures
    ]
