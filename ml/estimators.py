"""The parts of candidates: how text, categories and numbers become chances of two or more classes.

Everything is a scikit-learn pipeline over a frame with the columns of an `InputSpec`, so what is
registered takes raw columns, missing ones included, and needs no preparation elsewhere.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)

from ml.features import TEXT, InputSpec, conform
from ml.linear import Linear
from ml.moods import Moods
from ml.texts import characters, words

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 8
FOLDS = 4
TEXT_STRENGTH = 1.0
# Fewer rows than these say too little about how far chances are off.
LEAST_TO_CALIBRATE, LEAST_OF_EACH = 200, 20


class TextChances(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What a linear model reads out of a text, for trees: logits, rows x classes (one for two).

    On the rows it learns from, each row's logits come from a model that has not seen that row; else
    trees would trust the text far beyond what it is worth on new rows.

    Args:
        seed: of the folds.
    """

    def __init__(self, seed: int = 0) -> None:
        """Keep the seed."""
        self.seed = seed

    def fit(self, texts: Any, labels: Array) -> Self:
        """Fit terms and model on all rows."""
        self.terms_ = words()
        self._fit(self.terms_.fit_transform(texts), labels)
        return self

    def fit_transform(self, texts: Any, labels: Array) -> Array:
        """Fit on all rows; give each row's logits out of fold."""
        self.terms_ = words()
        matrix = self.terms_.fit_transform(texts)
        self._fit(matrix, labels)
        found = np.zeros((len(labels), self.model_.coef_.shape[0]))
        for learn, rest in folds(labels, self.seed):
            part = Linear(TEXT_STRENGTH).fit(matrix[learn], labels[learn])
            if part.coef_.shape[0] == found.shape[1]:
                found[rest] = part.decision_function(matrix[rest])
        return found

    def transform(self, texts: Any) -> Array:
        """Logits of new rows."""
        return self.model_.decision_function(self.terms_.transform(texts))

    def _fit(self, matrix: Any, labels: Array) -> None:
        self.model_ = Linear(TEXT_STRENGTH).fit(matrix, labels)


class Blend(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The weighted mean of two fitted models' chances.

    Args:
        linear: a fitted pipeline that ends in a linear model; reasons are read from it.
        trees: a fitted pipeline that ends in boosted trees.
        share: of the trees in the mean, 0..1.
    """

    def __init__(self, linear: Any, trees: Any, share: float = 0.5) -> None:
        """Keep the parts as they are."""
        self.linear = linear
        self.trees = trees
        self.share = share

    def fit(self, inputs: pd.DataFrame, labels: Array) -> Self:
        """Fit both parts again."""
        self.linear.fit(inputs, labels)
        self.trees.fit(inputs, labels)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """The parts are given fitted."""
        return True

    def predict_proba(self, inputs: pd.DataFrame) -> Array:
        """Chances, rows x classes."""
        mean: Array = (1 - self.share) * self.linear.predict_proba(
            inputs
        ) + self.share * self.trees.predict_proba(inputs)
        return mean


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose chances are corrected: softmax(slope x log chance + shift per class).

    Of two classes that is a line through the logit; the slope is positive, so the order of rows by
    chance, and with it ROC AUC, stays what it was.

    Args:
        model: a fitted classifier of the classes 0, 1, ..
        slope: of the correction, positive.
        shifts: one number per class.
        centre: mean contribution per class and group of inputs on the training rows, for `ml.reasons`.
        columns: input name -> "text" or "number"; what a caller leaves out counts as missing.
        weights: what each class's chance is multiplied by before the largest is the answer.
    """

    def __init__(
        self,
        model: Any,
        slope: float = 1.0,
        shifts: Any = (0.0, 0.0),
        centre: Any = None,
        columns: dict[str, str] | None = None,
        weights: Any = (1.0, 1.0),
    ) -> None:
        """Keep the parameters as they are, as scikit-learn asks."""
        self.model = model
        self.slope = slope
        self.shifts = shifts
        self.centre = centre
        self.columns = columns
        self.weights = weights

    def fit(self, inputs: pd.DataFrame, labels: Array) -> Self:
        """Fit the inner model again; the correction stays."""
        self.model.fit(inputs, labels)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """The inner model is given fitted."""
        return True

    @property
    def classes_(self) -> Array:
        """0, 1, .., in the order of the chances."""
        return np.arange(len(self.shifts))

    def predict_proba(self, inputs: pd.DataFrame) -> Array:
        """Chances, rows x classes."""
        if self.columns:
            inputs = conform(inputs, self.columns)
        if len(inputs) == 0:
            raise _nothing_asked()
        return corrected(self.model.predict_proba(inputs), self.slope, self.shifts)

    def predict(self, inputs: pd.DataFrame) -> Array:
        """The class whose weighted chance is largest."""
        answers: Array = np.argmax(self.predict_proba(inputs) * np.asarray(self.weights), axis=1)
        return answers


def _nothing_asked() -> Exception:
    """What a server answers to no rows; any other error it would answer with a stack trace."""
    from mlflow.exceptions import MlflowException

    refusal: Exception = MlflowException.invalid_parameter_value(
        "there are no rows; give at least one, with one of the model's columns"
    )
    return refusal


def corrected(chances: Array, slope: float, shifts: Any) -> Array:
    """Chances after the correction of `Calibrated`."""
    honest: Array = softmax(slope * _logs(chances) + np.asarray(shifts), axis=1)
    return honest


def calibration(labels: Array, chances: Array) -> tuple[float, tuple[float, ...]]:
    """Slope and shifts that make `chances` honest on these rows; no change on too few of them."""
    size = chances.shape[1]
    unchanged = 1.0, (0.0,) * size
    counts = np.bincount(labels, minlength=size)
    if len(labels) < LEAST_TO_CALIBRATE or counts.min() < LEAST_OF_EACH:
        return unchanged
    logs, rows = _logs(chances), np.arange(len(labels))

    def loss(values: Array) -> float:
        logits = values[0] * logs + np.append(0.0, values[1:])
        return float(-log_softmax(logits, axis=1)[rows, labels].mean())

    found = minimize(loss, np.append(1.0, np.zeros(size - 1)), method="BFGS").x
    if not 0.2 <= found[0] <= 5:
        return unchanged
    return float(found[0]), (0.0, *(float(shift) for shift in found[1:]))


def folds(labels: Array, seed: int, count: int = FOLDS) -> list[tuple[Array, Array]]:
    """Stratified folds of shuffled rows; fewer where a class has fewer rows, at least two."""
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    made = StratifiedKFold(max(2, min(count, fewest)), shuffle=True, random_state=seed)
    return list(made.split(labels, labels))


def linear_inputs(spec: InputSpec) -> ColumnTransformer:
    """Sparse inputs of a linear model: TF-IDF, moods, one-hot, scaled numbers and their quantile bins.

    The bins let a straight line bend: a first reply after a minute and after a day differ by more
    than their logarithms.
    """
    steps: list[tuple[str, Any, list[str]]] = []
    if spec.has_text:
        parts = FeatureUnion([("word", words()), ("characters", characters()), ("mood", Moods())])
        steps.append(("text", Pipeline([*raw_text(), ("terms", parts)]), [TEXT]))
    if spec.categories:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10)
        steps.append(("category", encoder, list(spec.categories)))
    if spec.numbers:
        bins = KBinsDiscretizer(
            BINS, quantile_method="averaged_inverted_cdf", subsample=200_000, random_state=0
        )
        steps.append(("number", scaled(), list(spec.numbers)))
        steps.append(("bin", Pipeline([("impute", _median()), ("bin", bins)]), list(spec.numbers)))
    return ColumnTransformer(steps, sparse_threshold=1.0)


def tree_inputs(spec: InputSpec, seed: int, classes: int = 2) -> ColumnTransformer:
    """Dense inputs of boosted trees: what text and categories say out of fold, moods, numbers as they are."""
    steps: list[tuple[str, Any, list[str]]] = []
    if spec.has_text:
        text = Pipeline([*raw_text(), ("chances", TextChances(seed))])
        steps.append(("text", text, [TEXT]))
        steps.append(("mood", Pipeline([*raw_text(), ("moods", Moods())]), [TEXT]))
    if spec.categories:
        encoder = TargetEncoder(
            target_type="binary" if classes == 2 else "multiclass",
            cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        )
        steps.append(("category", encoder, list(spec.categories)))
    if spec.numbers:
        steps.append(("number", "passthrough", list(spec.numbers)))
    return ColumnTransformer(steps, sparse_threshold=0.0)


def trees(seed: int, leaves: int, rounds: int) -> HistGradientBoostingClassifier:
    """Shallow boosted trees; no early stopping, whose inner split would be random."""
    return HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.04,
        max_leaf_nodes=leaves,
        min_samples_leaf=40,
        l2_regularization=5.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed,
    )


def _logs(chances: Array) -> Array:
    logs: Array = np.log(np.clip(chances, 1e-6, 1 - 1e-6))
    return logs


def raw_text() -> list[tuple[str, Any]]:
    """Missing text becomes an empty one, and one column becomes the list a vectoriser takes."""
    return [
        ("fill", SimpleImputer(strategy="constant", fill_value="", keep_empty_features=True)),
        ("flat", FunctionTransformer(np.ravel)),
    ]


def _median(indicator: bool = False) -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=indicator, keep_empty_features=True)


def scaled() -> Pipeline:
    """Numbers, missing ones filled and told apart, on a logarithm's scale."""
    # arcsinh is a logarithm that takes zero and negatives: waits and amounts are heavy-tailed.
    return Pipeline(
        [
            ("impute", _median(indicator=True)),
            ("log", FunctionTransformer(np.arcsinh, feature_names_out="one-to-one")),
            ("scale", StandardScaler()),
        ]
    )
