"""Small neural networks, one hidden layer each, beside a linear model on the same sparse columns.

They learn which terms mean something together, which a linear model cannot; the linear model tells the
reasons. Of what is fitted only the weights are kept: a registered model holds arrays and nothing else.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

Array = np.ndarray[Any, np.dtype[Any]]

HIDDEN, BATCH, STEP = 32, 128, 0.006
MEMBERS = 3
"""Networks whose chances are averaged: each begins elsewhere, and is wrong elsewhere."""
ROWS_SEEN, MOST_PASSES = 10_000, 10
"""A few thousand rows are gone through several times, more of them once: the next pass learns them by heart."""


class Network(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of some networks of one hidden layer of rectified units, learned in few passes (Adam).

    Args:
        seed: of the first weights and of the order of rows; the same seed gives the same networks.
    """

    def __init__(self, seed: int = 0) -> None:
        """Keep the seed."""
        self.seed = seed

    def fit(self, inputs: Any, labels: Array) -> Self:
        """Fit; inputs are sparse rows with values of about one."""
        matrix = sparse.csr_matrix(inputs, dtype=np.float32)
        passes = int(np.clip(ROWS_SEEN // max(len(labels), 1), 1, MOST_PASSES))
        models = [
            MLPClassifier(
                (HIDDEN,),
                batch_size=min(BATCH, len(labels)),
                learning_rate_init=STEP,
                max_iter=passes,
                random_state=self.seed + member,
            )
            for member in range(MEMBERS)
        ]
        with warnings.catch_warnings():
            # to stop before it has converged is what keeps it from learning rows by heart
            warnings.simplefilter("ignore", ConvergenceWarning)
            for model in models:
                model.fit(matrix, labels)
        self.classes_ = models[0].classes_
        self.weights_ = [[_small(each) for each in model.coefs_] for model in models]
        self.shifts_ = [[_small(each) for each in model.intercepts_] for model in models]
        return self

    def predict_proba(self, inputs: Any) -> Array:
        """Chances, rows x classes."""
        matrix = sparse.csr_matrix(inputs, dtype=np.float32)
        each = [
            self._chances(matrix, weights, shifts)
            for weights, shifts in zip(self.weights_, self.shifts_, strict=True)
        ]
        mean: Array = np.mean(each, axis=0)
        return mean

    def _chances(
        self, matrix: sparse.csr_matrix, weights: list[Array], shifts: list[Array]
    ) -> Array:
        hidden = np.maximum(matrix @ weights[0] + shifts[0], 0)
        logits = (hidden @ weights[1] + shifts[1]).astype(np.float64)
        if len(self.classes_) == 2:
            second = expit(logits[:, 0])
            return np.column_stack([1 - second, second])
        chances: Array = softmax(logits, axis=1)
        return chances


def _small(values: Any) -> Array:
    return np.asarray(values, dtype=np.float32)


class WithNetwork(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear model and a network on the same columns, their chances averaged.

    Args:
        linear: a `Linear` or `Pair`.
        seed: of the network.
        share: of the network in the mean, 0..1.
    """

    def __init__(self, linear: Any, seed: int = 0, share: float = 0.5) -> None:
        """Keep the parameters as they are, as scikit-learn asks."""
        self.linear = linear
        self.seed = seed
        self.share = share

    def fit(self, inputs: Any, labels: Array) -> Self:
        """Fit both; `coef_` is the linear model's, which is what reasons are read from."""
        self.linear.fit(inputs, labels)
        self.network_ = Network(self.seed).fit(inputs, labels)
        self.classes_, self.coef_ = self.linear.classes_, self.linear.coef_
        return self

    def predict_proba(self, inputs: Any) -> Array:
        """Chances, rows x classes."""
        mean: Array = (1 - self.share) * self.linear.predict_proba(
            inputs
        ) + self.share * self.network_.predict_proba(inputs)
        return mean
