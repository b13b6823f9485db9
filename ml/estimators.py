"""The candidates: how text, categories and numbers become a chance of satisfaction.

Everything is a scikit-learn pipeline over a frame with the columns of an `InputSpec`, so what is
registered takes raw columns, missing ones included, and needs no preparation elsewhere.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
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

Array = np.ndarray[Any, np.dtype[Any]]

# A Chinese character is a word of its own (two in a row become a bigram), Latin words stay whole:
# one pattern serves both languages and mixed messages, without a dictionary.
WORDS = r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+(?:'[a-z]+)?"
WORD_TERMS = 40_000
CHARACTER_TERMS = 40_000
TOPICS = 40
BINS = 8


class Terms(TfidfVectorizer):  # type: ignore[misc]
    """TF-IDF that is quick to store: its vocabulary as one text instead of a dictionary.

    A dictionary of numpy integers becomes a file per word in the model's archive: forty seconds
    and many megabytes for an ordinary vocabulary.
    """

    def __getstate__(self) -> dict[str, Any]:
        """State with the vocabulary as one text, a term per line in the order of columns."""
        state = dict(super().__getstate__())
        if "vocabulary_" in state:
            places = state.pop("vocabulary_")
            state["_words"] = "\n".join(sorted(places, key=places.__getitem__))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The vocabulary is a dictionary again."""
        state = dict(state)
        if "_words" in state:
            words = state.pop("_words").split("\n")
            state["vocabulary_"] = {word: place for place, word in enumerate(words)}
        super().__setstate__(state)


class Blend(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of two fitted models' chances, stored once each.

    Args:
        linear: a fitted pipeline that ends in a linear model; reasons are read from it.
        trees: a fitted pipeline that ends in boosted trees.
    """

    def __init__(self, linear: Any, trees: Any) -> None:
        """Keep the parts as they are."""
        self.linear = linear
        self.trees = trees

    def fit(self, inputs: pd.DataFrame, labels: Array) -> Self:
        """Fit both parts again."""
        self.linear.fit(inputs, labels)
        self.trees.fit(inputs, labels)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """The parts are given fitted."""
        return True

    def predict_proba(self, inputs: pd.DataFrame) -> Array:
        """Chances of (not satisfied, satisfied), rows x 2."""
        both = self.linear.predict_proba(inputs) + self.trees.predict_proba(inputs)
        mean: Array = both / 2
        return mean


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose chances are corrected on later rows: logit -> slope, intercept.

    The order of rows by chance never changes (the slope is positive), so ROC AUC stays what it was.

    Args:
        model: a fitted binary classifier.
        slope: of the correction, positive.
        intercept: of the correction.
        centre: mean contribution per group of inputs on the training rows, for `ml.reasons`.
        columns: input name -> "text" or "number"; what a caller leaves out counts as missing.
    """

    def __init__(
        self,
        model: Any,
        slope: float = 1.0,
        intercept: float = 0.0,
        centre: Any = None,
        columns: dict[str, str] | None = None,
    ) -> None:
        """Keep the parameters as they are, as scikit-learn asks."""
        self.model = model
        self.slope = slope
        self.intercept = intercept
        self.centre = centre
        self.columns = columns

    def fit(self, inputs: pd.DataFrame, labels: Array) -> Self:
        """Fit the inner model again; the correction stays."""
        self.model.fit(inputs, labels)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """The inner model is given fitted."""
        return True

    @property
    def classes_(self) -> Array:
        """Always (0, 1): not satisfied, satisfied."""
        return np.array([0, 1])

    def predict_proba(self, inputs: pd.DataFrame) -> Array:
        """Chances of (not satisfied, satisfied), rows x 2."""
        if self.columns:
            inputs = conform(inputs, self.columns)
        chances = self.model.predict_proba(inputs)[:, 1]
        satisfied = corrected(chances, self.slope, self.intercept)
        return np.column_stack([1 - satisfied, satisfied])

    def predict(self, inputs: pd.DataFrame) -> Array:
        """1 where satisfaction is the likelier answer."""
        return (self.predict_proba(inputs)[:, 1] >= 0.5).astype(int)


def corrected(chances: Array, slope: float, intercept: float) -> Array:
    """Chances after the correction of `Calibrated`."""
    honest: Array = expit(slope * _logits(chances) + intercept)
    return honest


def calibration(labels: Array, chances: Array) -> tuple[float, float]:
    """Slope and intercept that make `chances` honest on these rows; (1, 0) on too few of them."""
    if len(labels) < 200 or min(labels.sum(), len(labels) - labels.sum()) < 20:
        return 1.0, 0.0
    fitted = LogisticRegression(C=1e3).fit(_logits(chances).reshape(-1, 1), labels)
    slope = float(fitted.coef_[0, 0])
    if not 0.2 <= slope <= 5:
        return 1.0, 0.0
    return slope, float(fitted.intercept_[0])


def linear_inputs(spec: InputSpec) -> ColumnTransformer:
    """Sparse inputs of a linear model: TF-IDF, one-hot, scaled numbers and their quantile bins.

    The bins let a straight line bend: a first reply after a minute and after a day differ by more
    than their logarithms.
    """
    steps: list[tuple[str, Any, list[str]]] = []
    if spec.has_text:
        steps.append(("text", Pipeline([*_raw_text(), ("terms", _terms(True))]), [TEXT]))
    if spec.categories:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10)
        steps.append(("category", encoder, list(spec.categories)))
    if spec.numbers:
        bins = KBinsDiscretizer(
            BINS, quantile_method="averaged_inverted_cdf", subsample=200_000, random_state=0
        )
        steps.append(("number", _scaled(), list(spec.numbers)))
        steps.append(("bin", Pipeline([("impute", _median()), ("bin", bins)]), list(spec.numbers)))
    return ColumnTransformer(steps, sparse_threshold=1.0)


def tree_inputs(spec: InputSpec, seed: int) -> ColumnTransformer:
    """Dense inputs of boosted trees: out-of-fold target encodings, numbers as they are, topics."""
    steps: list[tuple[str, Any, list[str]]] = []
    if spec.has_text:
        topics = TruncatedSVD(TOPICS, random_state=seed)
        text = Pipeline([*_raw_text(), ("terms", _terms(False)), ("topics", topics)])
        steps.append(("text", text, [TEXT]))
    if spec.categories:
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        encoder = TargetEncoder(target_type="binary", cv=folds)
        steps.append(("category", encoder, list(spec.categories)))
    if spec.numbers:
        steps.append(("number", "passthrough", list(spec.numbers)))
    return ColumnTransformer(steps, sparse_threshold=0.0)


def linear(strength: float) -> LogisticRegression:
    """Logistic regression; `strength` is C, the inverse of regularisation."""
    return LogisticRegression(C=strength, max_iter=400, tol=1e-3)


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


def _logits(chances: Array) -> Array:
    clipped: Array = logit(np.clip(chances, 1e-6, 1 - 1e-6))
    return clipped


def _raw_text() -> list[tuple[str, Any]]:
    """Missing text becomes an empty one, and one column becomes the list a vectoriser takes."""
    return [
        ("fill", SimpleImputer(strategy="constant", fill_value="")),
        ("flat", FunctionTransformer(np.ravel)),
    ]


def _terms(with_characters: bool) -> Any:
    words = Terms(
        token_pattern=WORDS,
        ngram_range=(1, 2),
        min_df=2,
        max_features=WORD_TERMS,
        sublinear_tf=True,
        dtype=np.float32,
    )
    if not with_characters:
        return words
    characters = Terms(
        analyzer="char_wb",
        ngram_range=(2, 4),
        min_df=3,
        max_features=CHARACTER_TERMS,
        sublinear_tf=True,
        dtype=np.float32,
    )
    return FeatureUnion([("word", words), ("characters", characters)])


def _median(indicator: bool = False) -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=indicator, keep_empty_features=True)


def _scaled() -> Pipeline:
    # arcsinh is a logarithm that takes zero and negatives: waits and amounts are heavy-tailed.
    return Pipeline(
        [
            ("impute", _median(indicator=True)),
            ("log", FunctionTransformer(np.arcsinh, feature_names_out="one-to-one")),
            ("scale", StandardScaler()),
        ]
    )
