"""What names of agents and managers would add to a model.

They are no inputs: a model that learns who is disliked is of no use to anyone. But whoever reads a
run should know what that costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from ml.competition import Learned
from ml.estimators import linear_inputs
from ml.features import conform
from ml.linear import Linear
from ml.split import Split

Array = np.ndarray[Any, np.dtype[Any]]

STRENGTH = 0.3


def what_names_add(
    learned: Learned, inputs: pd.DataFrame, people: pd.DataFrame, labels: Array, split: Split
) -> float | None:
    """ROC AUC that names add to a linear model on the hold-out; None where no names are known.

    Args:
        learned: whose inputs the names would join.
        inputs: of all labelled rows.
        people: their names, from `people_inputs`.
        labels: 0 or 1.
        split: what to learn from and what to judge on.
    """
    if people.empty:
        return None
    shaped = conform(inputs, learned.columns)
    names = conform(people, dict.fromkeys(people.columns, "text"))
    prepare = linear_inputs(learned.spec)
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
    left = prepare.fit_transform(shaped[split.train], labels[split.train])
    right = prepare.transform(shaped[split.test])
    beside = encode.fit_transform(names[split.train]), encode.transform(names[split.test])
    aucs = []
    for fit, check in (
        (left, right),
        (sparse.hstack([left, beside[0]]), sparse.hstack([right, beside[1]])),
    ):
        model = Linear(STRENGTH).fit(fit, labels[split.train])
        aucs.append(roc_auc_score(labels[split.test], model.predict_proba(check)[:, 1]))
    return float(aucs[1] - aucs[0])
