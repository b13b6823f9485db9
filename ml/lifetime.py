"""What each customer will still buy, from the feature files: `ml.value_scores`.

There is nothing to choose between and nothing to promote: two models of a few parameters are fitted
to all buyers at once, whenever the features changed. What they learned is in the scores' digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from carelake.settings import Home
from ml.value import Array, History, Returning, Spending, TooFewBuyers, fit_returning, fit_spending

NAME = "customer_value"
RECIPE = "1"
"""Changes when the same features would give other scores."""
MOST_FITTED = 50_000
"""Customers that are learned from, the first by key: their order is as good as drawn by lot."""
HORIZONS = (90, 365)
DAYS_A_WEEK = 7.0
SCHEMA = pa.schema(
    [
        ("customer_key", pa.string()),
        ("p_alive", pa.decimal128(9, 6)),
        *[
            (f"expected_{what}_{days}d", kind)
            for days in HORIZONS
            for what, kind in (("orders", pa.decimal128(18, 6)), ("value", pa.decimal128(18, 2)))
        ],
        ("model_name", pa.string()),
        ("model_version", pa.int32()),
        ("model_digest", pa.string()),
        ("features_digest", pa.string()),
    ]
)
COLUMNS = [
    "customer_key", "n_order_days", "days_since_first_order", "days_since_last_order",
    "repeat_order_value",
]  # fmt: skip


def score_values(home: Home, features: Path, *, report: Callable[[str], None]) -> Path:
    """Write the scores of every customer with a dated order; the same features change nothing.

    Without enough buyers who came back there are no scores, and `report` is told why.

    Args:
        home: where the file is kept; one, replaced in one step.
        features: folder with `customers.parquet`.
        report: called with one plain line per thing worth telling.

    Returns:
        A Parquet file with the columns of `ml.value_scores`.
    """
    path = home.scores / "value_scores.parquet"
    origin = f"{features.name} {RECIPE}"
    if path.exists() and _origin(path) == origin:
        return path
    buyers = pq.read_table(features / "customers.parquet", columns=COLUMNS)
    buyers = buyers.filter(pc.field("n_order_days") > 0).sort_by("customer_key")
    # sums in one thread: the same parameters in every run, to the last digit
    with threadpool_limits(limits=1):
        scores = _scores(buyers, features.name, report)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(scores.replace_schema_metadata({"origin": origin}), partial, compression="zstd")
    partial.replace(path)
    return path


def history_of(buyers: pa.Table) -> History:
    """Purchases as the models count them: days with an order, times in weeks."""
    days, first, last = (
        buyers.column(name).to_numpy().astype(float)
        for name in ("n_order_days", "days_since_first_order", "days_since_last_order")
    )
    value = buyers.column("repeat_order_value").cast(pa.float64()).fill_null(0).to_numpy()
    return History(
        repeats=days - 1,
        recency=(first - last) / DAYS_A_WEEK,
        age=first / DAYS_A_WEEK,
        value=np.maximum(value, 0.0),
    )


def _scores(buyers: pa.Table, digest: str, report: Callable[[str], None]) -> pa.Table:
    try:
        fitted = history_of(buyers.slice(0, MOST_FITTED))
        returning = fit_returning(fitted)
    except TooFewBuyers as error:
        report(f"{NAME}: no scores, {error}")
        return SCHEMA.empty_table()
    try:
        spending = fit_spending(fitted)
    except TooFewBuyers as error:
        report(f"{NAME}: no values, {error}")
        spending = None
    return _table(buyers, returning, spending, digest)


def _table(
    buyers: pa.Table, returning: Returning, spending: Spending | None, digest: str
) -> pa.Table:
    history = history_of(buyers)
    worth = None if spending is None else _worth(history, spending)
    columns: list[pa.Array] = [
        buyers.column("customer_key").combine_chunks(),
        _rounded(returning.alive(history), SCHEMA.field("p_alive").type),
    ]
    for days in HORIZONS:
        orders = returning.purchases(history, days / DAYS_A_WEEK)
        columns.append(_rounded(orders, pa.decimal128(18, 6)))
        value = None if worth is None else orders * worth
        columns.append(
            pa.nulls(buyers.num_rows, pa.decimal128(18, 2))
            if value is None
            else _rounded(value, pa.decimal128(18, 2))
        )
    tail = (NAME, None, _digest(returning, spending), digest)
    for field, said in zip(list(SCHEMA)[-4:], tail, strict=True):
        columns.append(pa.array([said] * buyers.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _worth(history: History, spending: Spending) -> Array:
    """What a purchase of each is worth; unknown where the mean of such buyers is infinite (p x + q <= 1)."""
    times = np.where(history.value > 0, history.repeats, 0)
    with np.errstate(divide="ignore"):
        return np.where(spending.p * times + spending.q > 1, spending.mean_value(history), np.nan)


def _rounded(values: Array, kind: pa.Decimal128Type) -> pa.Array:
    """Rounded once, here; NULL where a formula has no answer."""
    rounded = np.round(values, kind.scale)
    return pa.array(rounded, mask=~np.isfinite(rounded)).cast(kind, safe=False)


def _digest(returning: Returning, spending: Spending | None) -> str:
    learned: dict[str, Any] = {
        "recipe": RECIPE,
        "returning": asdict(returning),
        "spending": spending and asdict(spending),
    }
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()[:16]


def _origin(path: Path) -> str:
    said: bytes = (pq.read_schema(path).metadata or {}).get(b"origin", b"")
    return said.decode()
