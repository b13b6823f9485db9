"""The owner's two recipes, kept as the bar every model has to clear.

Both are deliberately plain: texts and channels turned into running numbers for a logistic
regression, and three clusters of customers by age (and gender).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

Array = np.ndarray[Any, np.dtype[Any]]

RECIPE_INPUTS = ["text", "channel"]
RECIPE_CLUSTERS = 3


def label_encoded(inputs: pd.DataFrame, labels: Array) -> Pipeline:
    """Fit the owner's recipe: each distinct text and channel an integer, then logistic regression.

    A text never seen in training becomes -1. The integers are scaled, as the solver would not
    come to an end on codes in the thousands otherwise; the order of chances is the same.
    """
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    recipe = Pipeline(
        [("encode", encode), ("scale", StandardScaler()), ("model", LogisticRegression(C=1e6))]
    )
    return recipe.fit(inputs[RECIPE_INPUTS], labels)


def age_clusters(customers: pd.DataFrame, seed: int) -> Array | None:
    """The owner's clusters: k-means with k=3 on age and gender; None where no age is known.

    Args:
        customers: with `age` and `gender`.
        seed: of k-means.

    Returns:
        A label 0..2 per row.
    """
    if customers["age"].nunique() < RECIPE_CLUSTERS:
        return None
    ages = SimpleImputer(strategy="median").fit_transform(customers[["age"]])
    gender = customers["gender"].map({"female": 1.0, "male": 0.0}).astype("float64")
    points = np.column_stack([ages, gender.fillna(0.5)])
    labels: Array = KMeans(RECIPE_CLUSTERS, n_init=10, random_state=seed).fit_predict(points)
    return labels
