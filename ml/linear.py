"""Linear models of two or more classes over many sparse columns, plain or weighted as naive Bayes does."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 0.01


class Linear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One logistic regression per class; of two classes, one for the second.

    With `is_weighted` each column is first multiplied by its log-count ratio, the weight naive Bayes
    would give it: a term seen three times, always with one answer, then counts for more than one
    that is merely frequent. Columns with negative values keep weight 1.

    Args:
        strength: inverse of regularisation (C).
        is_weighted: whether columns are weighted by their log-count ratio.
    """

    def __init__(self, strength: float = 1.0, is_weighted: bool = False) -> None:
        """Keep the parameters as they are, as scikit-learn asks."""
        self.strength = strength
        self.is_weighted = is_weighted

    def fit(self, inputs: Any, labels: Array) -> Self:
        """Fit; `coef_` holds a row per class (one row where there are two), on unweighted columns."""
        matrix = sparse.csr_matrix(inputs, dtype=np.float64)
        self.classes_ = np.unique(labels)
        classes = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        rows, intercepts = [], []
        for one in classes:
            is_one = labels == one
            weights = _log_ratios(matrix, is_one) if self.is_weighted else None
            weighted = matrix if weights is None else matrix.multiply(weights).tocsr()
            # of the primal form: no random order of rows, so the same data give the same model
            model = LogisticRegression(
                C=self.strength, solver="liblinear", tol=TOLERANCE, max_iter=200
            ).fit(weighted, is_one.astype(int))
            rows.append(model.coef_[0] if weights is None else model.coef_[0] * weights)
            intercepts.append(float(model.intercept_[0]))
        self.coef_ = np.vstack(rows)
        self.intercept_ = np.array(intercepts)
        return self

    def decision_function(self, inputs: Any) -> Array:
        """Logits, rows x classes; of two classes one column."""
        logits: Array = sparse.csr_matrix(inputs) @ self.coef_.T + self.intercept_
        return logits

    def predict_proba(self, inputs: Any) -> Array:
        """Chances, rows x classes."""
        each = expit(self.decision_function(inputs))
        if len(self.classes_) == 2:
            return np.column_stack([1 - each[:, 0], each[:, 0]])
        chances: Array = each / np.maximum(each.sum(axis=1, keepdims=True), 1e-12)
        return chances


class Pair(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A plain and a weighted linear model on the same columns, their chances averaged.

    Args:
        plain: strength of the plain one.
        weighted: strength of the weighted one.
        share: of the weighted one in the mean, 0..1.
    """

    def __init__(self, plain: float = 1.0, weighted: float = 1.0, share: float = 0.5) -> None:
        """Keep the parameters as they are, as scikit-learn asks."""
        self.plain = plain
        self.weighted = weighted
        self.share = share

    def fit(self, inputs: Any, labels: Array) -> Self:
        """Fit both; `coef_` is their mean, which is what reasons are read from."""
        self.models_ = [
            Linear(self.plain).fit(inputs, labels),
            Linear(self.weighted, is_weighted=True).fit(inputs, labels),
        ]
        self.classes_ = self.models_[0].classes_
        self.coef_ = (1 - self.share) * self.models_[0].coef_ + self.share * self.models_[1].coef_
        return self

    def predict_proba(self, inputs: Any) -> Array:
        """Chances, rows x classes."""
        plain, weighted = (model.predict_proba(inputs) for model in self.models_)
        mean: Array = (1 - self.share) * plain + self.share * weighted
        return mean


def _log_ratios(matrix: sparse.csr_matrix, is_one: Array) -> Array:
    """Per column log(share of its weight in these rows / share in the others), smoothed by one."""
    ones = np.asarray(matrix[is_one].sum(axis=0)).ravel() + 1.0
    others = np.asarray(matrix[~is_one].sum(axis=0)).ravel() + 1.0
    lowest = np.asarray(matrix.min(axis=0).todense()).ravel()
    signed = lowest < 0
    ones[signed], others[signed] = 1.0, 1.0
    ratios: Array = np.log(ones / ones[~signed].sum()) - np.log(others / others[~signed].sum())
    ratios[signed] = 1.0
    return ratios
