"""A candidate of the company's own: how long the customer waited, and nothing else.

It competes with Carelake's by the same rule. A class needs `fit` and `predict_proba`; it is made
without arguments. Inputs are a DataFrame: `text` and categories as text, numbers as float64, missing
values as NaN. Build it from scikit-learn's parts and classes of this folder, so that it can be stored.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class WaitingTime(ClassifierMixin, BaseEstimator):
    """Logistic regression on the logarithm of the minutes to the first reply."""

    def fit(self, inputs: pd.DataFrame, labels: np.ndarray[Any, Any]) -> Self:
        """Learn from labelled rows."""
        self.model_ = make_pipeline(StandardScaler(), LogisticRegression())
        self.model_.fit(self._columns(inputs), labels)
        return self

    def predict_proba(self, inputs: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Chances, rows x classes."""
        chances: np.ndarray[Any, Any] = self.model_.predict_proba(self._columns(inputs))
        return chances

    def _columns(self, inputs: pd.DataFrame) -> np.ndarray[Any, Any]:
        minutes = inputs.get("first_reply_minutes", pd.Series(np.nan, index=inputs.index))
        return np.column_stack([np.log1p(minutes.fillna(60)), minutes.isna()])
