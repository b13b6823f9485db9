"""What a customer will still buy: how likely he is to come back, how often, and for how much.

Two models of Fader and Hardie for buyers without a contract. BG/NBD ("Counting Your Customers the
Easy Way", 2005) tells from how often and how lately somebody bought whether he is still a customer,
and how often he will buy. Gamma-Gamma ("The Gamma-Gamma Model of Monetary Value", 2013) tells what
his purchases are worth on average. Both are fitted by maximum likelihood, on the few numbers per
customer that their likelihood needs, each distinct combination once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

Array = np.ndarray[Any, np.dtype[Any]]

LEAST_BUYERS = 50
"""Fewer that came back tell too little of how buyers differ."""


MOST_ALIKE = 1000.0
"""Greatest a and b of BG/NBD: beyond, the chances to leave differ by less than anything measured."""


class TooFewBuyers(Exception):
    """There is not enough to learn from; the message says what is missing."""


@dataclass(frozen=True)
class History:
    """What is known of each buyer; all arrays have one entry per buyer.

    Attributes:
        repeats: purchases after the first, by days with one.
        recency: time from the first purchase to the last, 0 without a repeat.
        age: time from the first purchase to the moment of the question, in the same unit.
        value: mean worth of a purchase; above 0 where it is to count.
    """

    repeats: Array
    recency: Array
    age: Array
    value: Array

    def __post_init__(self) -> None:
        """Refuse what no buyer can have.

        Raises:
            ValueError: a last purchase before the first or after the question.
        """
        if np.any(self.repeats < 0) or np.any(self.recency < 0):
            raise ValueError("repeats and recency cannot be below 0")
        if np.any(self.recency > self.age):
            raise ValueError("the last purchase lies after the moment of the question")


@dataclass(frozen=True)
class Returning:
    """BG/NBD: purchases come at a Gamma(r, alpha) rate; after each, a Beta(a, b) chance to leave."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def alive(self, history: History) -> Array:
        """Chance that each is still a customer (equation 11 of the authors' note on P(alive))."""
        return 1.0 / (1.0 + self._odds_of_leaving(history))

    def purchases(self, history: History, time: float) -> Array:
        """Expected purchases of each within `time` from now, in the unit of the history.

        Equation 10 of the paper.
        """
        x, age = history.repeats, history.age
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        share = (alpha + age) / (alpha + age + time)
        # Euler's form of the paper's 2F1(r + x, b + x; a + b + x - 1; z), which overflows for many repeats
        series = hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, time / (alpha + age + time))
        found = (a + b + x - 1) / (a - 1) * (1 - share ** (a - 1) * series)
        return np.asarray(found / (1.0 + self._odds_of_leaving(history)))

    def _odds_of_leaving(self, history: History) -> Array:
        x = history.repeats
        ratio = (self.alpha + history.age) / (self.alpha + history.recency)
        # the logarithm bears what the power would not: a buyer of hundreds who fell silent
        with np.errstate(over="ignore"):
            odds = self.a / np.maximum(self.b + x - 1, 1e-12) * np.exp((self.r + x) * np.log(ratio))
        return np.where(x > 0, odds, 0.0)


@dataclass(frozen=True)
class Spending:
    """Gamma-Gamma: a purchase is worth Gamma(p, nu), and nu differs by Gamma(q, gamma)."""

    p: float
    q: float
    gamma: float
    log_likelihood: float

    def mean_value(self, history: History) -> Array:
        """Expected worth of a purchase of each (equation 5 of the note): his own mean, drawn to all's."""
        x = np.where(history.value > 0, history.repeats, 0)
        own = np.where(history.value > 0, history.value, 0.0)
        return np.asarray(self.p * (self.gamma + x * own) / (self.p * x + self.q - 1))


def fit_returning(history: History) -> Returning:
    """Fit BG/NBD.

    Raises:
        TooFewBuyers: too few came back.
    """
    _check(int((history.repeats > 0).sum()))
    parts = np.column_stack([history.repeats, history.recency, history.age])
    distinct, weight = np.unique(parts, axis=0, return_counts=True)
    x, recency, age = distinct.T

    def loss(logs: Array) -> float:
        r, alpha, a, b = np.exp(logs)
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
        stays = -(r + x) * np.log(alpha + age)
        with np.errstate(divide="ignore", invalid="ignore"):
            leaves = np.log(a) - np.log(b + x - 1) - (r + x) * np.log(alpha + recency)
        either = np.where(x > 0, np.logaddexp(stays, np.where(x > 0, leaves, -np.inf)), stays)
        return -float(weight @ (common + either))

    starts = [np.log([1.0, float(np.median(age)) or 1.0, 1.0, 1.0]), np.zeros(4)]
    # where all leave alike, a and b grow without end and say the same: the formulas would not bear it
    found = _least(loss, starts, most=[np.inf, np.inf, MOST_ALIKE, MOST_ALIKE])
    r, alpha, a, b = np.exp(found.x)
    return Returning(float(r), float(alpha), float(a), float(b), -float(found.fun))


def fit_spending(history: History) -> Spending:
    """Fit Gamma-Gamma on those who came back and paid.

    Raises:
        TooFewBuyers: too few did.
    """
    pays = (history.repeats > 0) & (history.value > 0)
    _check(int(pays.sum()))
    x, value = history.repeats[pays].astype(float), history.value[pays]
    scale = float(np.median(value))
    m = value / scale  # amounts in yen and in pounds begin the search at the same place

    def loss(logs: Array) -> float:
        p, q, gamma = np.exp(logs)
        found = (
            gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(gamma)
            + (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * np.log(gamma + m * x)
        )  # fmt: skip
        return -float(found.sum())

    found = _least(loss, [np.log([2.0, 2.0, 1.0]), np.log([6.0, 4.0, 0.5])])
    p, q, gamma = np.exp(found.x)
    likelihood = -float(found.fun) - len(m) * float(np.log(scale))
    return Spending(float(p), float(q), float(gamma) * scale, likelihood)


def _check(n_buyers: int) -> None:
    if n_buyers < LEAST_BUYERS:
        raise TooFewBuyers(f"{n_buyers} customers bought again, {LEAST_BUYERS} are needed")


def _least(loss: Any, starts: list[Array], most: list[float] | None = None) -> Any:
    """The best of a search from each start; the answer does not depend on a lucky one.

    `most` are the greatest values the parameters, not their logarithms, may take.
    """
    bounds = None if most is None else [(None, float(np.log(value))) for value in most]
    options = {"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-6}
    tried = [
        minimize(loss, start, method="Nelder-Mead", bounds=bounds, options=options)
        for start in starts
    ]
    return min(tried, key=lambda found: found.fun)
