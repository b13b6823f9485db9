"""`customer_segments`: customers who bought, grouped by value, recency and contact.

Satisfaction, age and gender are no inputs: satisfaction is shown over segments, it does not make
them. Customers without orders form the segment `contact_only` (id 0) and are not clustered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import silhouette_samples
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.baselines import age_clusters

Array = np.ndarray[Any, np.dtype[Any]]

INPUTS = (
    "n_orders",
    "order_value",
    "order_value_90d",
    "days_since_last_order",
    "days_since_first_order",
    "n_conversations",
    "n_conversations_90d",
)
PROFILE = (*INPUTS, "avg_order_value", "n_channels", "days_since_last_contact")
DESCRIPTORS = ("age", "mean_satisfaction")
KS = range(3, 9)
LEAST_CUSTOMERS = 40
SAMPLE = 5_000
MOST_TO_FIT = 500_000
CONTACT_ONLY = "contact_only"
BUYERS = "buyers"
"""All customers with orders, while there is no model to tell them apart."""
K_RULE = (
    "k with the highest mean silhouette for k = 3..8 on a seeded sample of at most 5,000 "
    "customers, ties to the smaller k"
)
NAME_RULE = (
    "against the mean customer with orders: value high from 1.5 times the mean order value, low "
    "under half of it; recent when the median last order is at most 30 days or 1.5 times the "
    "overall median ago; one-time under 1.5 orders. champions = high, recent; "
    "at_risk = high, not recent; "
    "promising = one-time, recent; "
    "one_time = one-time, not recent; loyal = recent, not high, not low; occasional = recent, low; "
    "dormant = the rest. Segments of one name are told apart by what differs most between them."
)


class TooFewCustomers(Exception):
    """There are not enough customers with orders to cluster."""


@dataclass(frozen=True)
class Segments:
    """A fitted segmentation and what the run wants to know about it.

    `pipeline.predict` gives 0..k-1 in descending order of mean order value; the segment id is one
    more. `sample_*` are per row of the silhouette sample, in the shared scaled space.
    """

    pipeline: Pipeline
    names: list[str]
    k: int
    silhouettes: dict[int, float]
    inertias: dict[int, float]
    sample: pd.DataFrame
    points: Array
    sample_silhouettes: Array
    baseline_silhouettes: Array | None
    profile: pd.DataFrame
    sizes: list[int]
    n: int


def clusterable(customers: pd.DataFrame) -> pd.DataFrame:
    """Customers with orders."""
    return customers[~is_contact_only(customers)]


def is_contact_only(customers: pd.DataFrame) -> pd.Series[Any]:
    """Whether a customer never ordered; where the features do not say, by the count of orders."""
    guess = (customers["n_orders"].fillna(0) == 0).astype("float64")
    return customers["is_contact_only"].fillna(guess) > 0


def segment_customers(customers: pd.DataFrame, seed: int) -> Segments:
    """Choose k, cluster, order and name.

    Args:
        customers: from `read_customers`, ordered by key.
        seed: of sample and k-means; same rows, same seed, same segments.

    Raises:
        TooFewCustomers: fewer than `LEAST_CUSTOMERS` customers with orders, or all alike.
    """
    buyers = clusterable(customers)
    if len(buyers) < LEAST_CUSTOMERS:
        raise TooFewCustomers(
            f"{len(buyers)} customers with orders, {LEAST_CUSTOMERS} are needed to find segments"
        )
    fitted_on = _sampled(buyers, MOST_TO_FIT, seed)
    scaler = _scaler().fit(_inputs(fitted_on))
    scaled = scaler.transform(_inputs(fitted_on))
    distinct = len(np.unique(scaled.round(9), axis=0))
    if distinct < max(KS):
        raise TooFewCustomers(
            f"only {distinct} distinct customers with orders: nothing to tell apart"
        )
    sample = _sampled(fitted_on, SAMPLE, seed)
    points = scaler.transform(_inputs(sample))
    distances = euclidean_distances(points)
    np.fill_diagonal(distances, 0)
    fits = {k: KMeans(k, n_init=10, random_state=seed).fit(points) for k in KS}
    samples = {k: silhouette_samples(distances, fits[k].labels_, metric="precomputed") for k in KS}
    silhouettes = {k: round(float(samples[k].mean()), 6) for k in KS}
    best = max(silhouettes.values())
    k = min(k for k in KS if silhouettes[k] == best)
    model = (
        fits[k]
        if len(sample) == len(fitted_on)
        else KMeans(k, n_init=10, random_state=seed).fit(scaled)
    )
    labels = _order_by_value(model, fitted_on, scaled)
    pipeline = Pipeline([*scaler.steps, ("segments", model)])
    sample_labels = pipeline.predict(_inputs(sample))
    baseline = age_clusters(sample, seed)
    profile = _profile(fitted_on, labels)
    return Segments(
        pipeline=pipeline,
        names=segment_names(profile, fitted_on),
        k=k,
        silhouettes=silhouettes,
        inertias={k: round(float(fits[k].inertia_), 6) for k in KS},
        sample=sample,
        points=points,
        sample_silhouettes=silhouette_samples(distances, sample_labels, metric="precomputed"),
        baseline_silhouettes=(
            None
            if baseline is None
            else silhouette_samples(distances, baseline, metric="precomputed")
        ),
        profile=profile,
        sizes=[int((labels == place).sum()) for place in range(k)],
        n=len(fitted_on),
    )


def silhouettes_in(points: Array, labels: Array) -> Array:
    """Silhouette per point; all zero when there is only one label."""
    if len(np.unique(labels)) < 2:
        return np.zeros(len(points))
    values: Array = silhouette_samples(points, labels)
    return values


def assign(pipeline: Any, customers: pd.DataFrame) -> tuple[Array, Array]:
    """Segment id (1..k) and distance to its centre in the scaled space, per customer."""
    away = pipeline.transform(_inputs(customers))
    nearest = away.argmin(axis=1)
    return nearest + 1, away[np.arange(len(away)), nearest]


def segment_names(profile: pd.DataFrame, customers: pd.DataFrame) -> list[str]:
    """A unique name per segment by `NAME_RULE`, in the order of segments."""
    mean_value = float(customers["order_value"].mean())
    median_recency = float(customers["days_since_last_order"].median())
    names = [_plain_name(row, mean_value, median_recency) for _, row in profile.iterrows()]
    return _told_apart(names, profile)


def model_inputs(customers: pd.DataFrame) -> pd.DataFrame:
    """The columns the registered model takes."""
    return _inputs(customers)


def _plain_name(row: pd.Series[Any], mean_value: float, median_recency: float) -> str:
    recent = not row["days_since_last_order"] > max(30.0, 1.5 * median_recency)
    if row["order_value"] >= 1.5 * mean_value:
        return "champions" if recent else "at_risk"
    if row["n_orders"] < 1.5:
        return "promising" if recent else "one_time"
    if not recent:
        return "dormant"
    return "occasional" if row["order_value"] < 0.5 * mean_value else "loyal"


_QUALITIES = (
    ("n_conversations_90d", "in_touch"),
    ("n_conversations", "talkative"),
    ("order_value", "high_value"),
    ("n_orders", "frequent"),
    ("days_since_first_order", "long_standing"),
    ("days_since_last_order", "longer_away"),
)


def _told_apart(names: list[str], profile: pd.DataFrame) -> list[str]:
    """Of segments that share a name, all but the plainest get a quality it stands out by."""
    result = list(names)
    for name in sorted(set(names)):
        members = [place for place, given in enumerate(names) if given == name]
        used: set[str] = set()
        for place in members[:-1]:
            rest = profile.iloc[members].drop(index=profile.index[place])
            quality = _stands_out(profile.iloc[place], rest, used)
            used.add(quality)
            result[place] = f"{name}_{quality}"
    return result


def _stands_out(row: pd.Series[Any], rest: pd.DataFrame, used: set[str]) -> str:
    ratios = [
        (np.log1p(max(row[column], 0)) - np.log1p(max(rest[column].max(), 0)), quality)
        for column, quality in _QUALITIES
        if quality not in used
    ]
    ratios = [(gap, quality) for gap, quality in ratios if gap > 0]
    # Nothing left to say: a number is honest and still unique.
    return max(ratios)[1] if ratios else str(len(used) + 2)


def _inputs(customers: pd.DataFrame) -> pd.DataFrame:
    return customers[list(INPUTS)].astype("float64")


def _scaler() -> Pipeline:
    # Amounts, counts and days are heavy-tailed: on a log scale ten to twenty orders weigh as
    # much as one to two.
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("log", FunctionTransformer(np.arcsinh, feature_names_out="one-to-one")),
            ("scale", StandardScaler()),
        ]
    )


def _sampled(customers: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    if len(customers) <= most:
        return customers
    rows = np.random.default_rng(seed).choice(len(customers), most, replace=False)
    return customers.iloc[np.sort(rows)]


def _order_by_value(model: KMeans, customers: pd.DataFrame, scaled: Array) -> Array:
    """Renumber clusters by mean order value, highest first, so that ids mean something."""
    labels = model.predict(scaled)
    values = customers["order_value"].fillna(0).to_numpy()
    means = [float(values[labels == place].mean()) for place in range(model.n_clusters)]
    order = np.argsort(-np.array(means), kind="stable")
    model.cluster_centers_ = np.ascontiguousarray(model.cluster_centers_[order])
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    model.labels_ = ranks[model.labels_].astype(np.int32)
    renumbered: Array = ranks[labels]
    return renumbered


def _profile(customers: pd.DataFrame, labels: Array) -> pd.DataFrame:
    """Mean of each described column per segment, index 0..k-1; the median for days."""
    columns = [*PROFILE, *DESCRIPTORS]
    grouped = customers[columns].groupby(labels)
    profile = grouped.mean()
    days = [name for name in columns if name.startswith("days_")]
    profile[days] = grouped[days].median()
    return profile
