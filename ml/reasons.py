"""Why a chance is high or low: the three inputs that move it most.

Read from the linear part of a model: coefficient times input, summed per input column, less what
that column contributes on average. Of more than two classes, reasons are those of the class that is
the answer. A model without a linear part gives no reasons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from ml.estimators import Blend, Calibrated
from ml.features import ATTRIBUTE_PREFIX, TEXT

Array = np.ndarray[Any, np.dtype[Any]]

MOST_REASONS = 3
LEAST_EFFECT = 0.01
NAMES = {
    "hour_of_day": "hour of day",
    "day_of_week": "weekday",
    "n_inbound": "messages from the customer",
    "n_outbound": "messages from us",
    "first_reply_minutes": "minutes to first reply",
    "resolution_minutes": "minutes to resolution",
    "handle_seconds": "handling seconds",
    "is_reopened": "reopened",
    "n_prior_conversations": "earlier conversations",
    "prior_satisfaction": "earlier satisfaction",
    "n_prior_orders": "earlier orders",
    "prior_order_value": "earlier order value",
    "customer_age": "age",
    "customer_gender": "gender",
    "reply_hour": "hour of first reply",
    "text_length": "length of what they wrote",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def linear_part(model: Any) -> Pipeline | None:
    """The fitted linear pipeline inside a model, if it has one."""
    inner = model.model if isinstance(model, Calibrated) else model
    if isinstance(inner, Blend):
        inner = inner.linear
    if isinstance(inner, Pipeline) and hasattr(inner[-1], "coef_"):
        return inner
    return None


@dataclass(frozen=True)
class Reader:
    """Groups the columns of a linear model by the input they come from."""

    pipeline: Pipeline
    names: list[str]
    groups: Array
    terms: Array
    term_names: Array

    @classmethod
    def of(cls, pipeline: Pipeline) -> Reader:
        """Prepare once per model."""
        inputs: ColumnTransformer = pipeline[0]
        names = sorted({name for _, _, columns in inputs.transformers_ for name in columns})
        groups = np.zeros(pipeline[-1].coef_.shape[1], dtype=np.int64)
        terms, term_names = np.array([], dtype=np.int64), np.array([], dtype=object)
        for step, fitted, columns in inputs.transformers_:
            place = inputs.output_indices_[step]
            if step == "text":
                groups[place] = names.index(TEXT)
                word = dict(fitted["terms"].transformer_list)["word"]
                term_names = word.get_feature_names_out()
                terms = np.arange(place.start, place.start + len(term_names))
            else:
                owners = _owners(fitted, list(columns))
                groups[place] = [names.index(owner) for owner in owners]
        return cls(pipeline, names, groups, terms, term_names)

    def effects(self, matrix: sparse.csr_matrix, row: int) -> tuple[Array, sparse.csr_matrix]:
        """Contribution to a class's logit per input (rows x inputs), and per single column (sparse).

        Args:
            matrix: rows in the columns of the linear model.
            row: of the class in the model's coefficients.
        """
        single = sparse.csr_matrix(matrix.multiply(self.pipeline[-1].coef_[row]))
        size = len(self.groups)
        gather = sparse.csr_matrix(
            (np.ones(size), (np.arange(size), self.groups)), shape=(size, len(self.names))
        )
        return np.asarray((single @ gather).todense()), single

    def matrix(self, inputs: pd.DataFrame) -> sparse.csr_matrix:
        """Rows in the columns of the linear model."""
        return sparse.csr_matrix(self.pipeline[0].transform(inputs))

    def strongest_terms(self, single: sparse.csr_matrix, raises: Array) -> list[str]:
        """Per row, the word or pair of words that moves the chance most in the text's direction."""
        if not len(self.terms):
            return [""] * single.shape[0]
        words = sparse.csr_matrix(single[:, self.terms])
        signed = sparse.csr_matrix(sparse.diags(np.where(raises, 1.0, -1.0)) @ words)
        best = np.asarray(signed.argmax(axis=1)).ravel()
        peak = signed.max(axis=1).toarray().ravel()
        return [
            str(self.term_names[place]) if value > 0 else ""
            for place, value in zip(best, peak, strict=True)
        ]


def centre(model: Any, inputs: pd.DataFrame) -> list[list[float]] | None:
    """Mean contribution of each input over these rows, per row of coefficients."""
    pipeline = linear_part(model)
    if pipeline is None:
        return None
    reader = Reader.of(pipeline)
    # Means are linear: those of the columns, times coefficients, are those of the contributions.
    means = sparse.csr_matrix(np.asarray(reader.matrix(inputs).mean(axis=0)))
    return [
        [round(float(value), 6) for value in reader.effects(means, row)[0][0]]
        for row in range(len(pipeline[-1].coef_))
    ]


def explain(model: Any, inputs: pd.DataFrame, chances: Array | None = None) -> list[str]:
    """The three strongest reasons of each row as JSON text.

    Args:
        model: a `Calibrated` with its `centre`.
        inputs: rows in the model's columns.
        chances: of these rows, where they are known already; needed for more than two classes only.

    Returns:
        Per row a JSON array of {"words", "input", "effect"}: effect on the logit of being
        satisfied (of the answer, where there are more than two), strongest first; `[]` where the
        model has no linear part.
    """
    pipeline = linear_part(model)
    if pipeline is None or getattr(model, "centre", None) is None:
        return ["[]"] * len(inputs)
    reader = Reader.of(pipeline)
    matrix = reader.matrix(inputs)
    if len(pipeline[-1].coef_) == 1:
        return _explain_rows(reader, matrix, inputs, model.centre, 0)
    if chances is None:
        chances = model.predict_proba(inputs)
    answers = np.argmax(chances * np.asarray(model.weights), axis=1)
    told = np.array(["[]"] * len(inputs), dtype=object)
    for row in np.unique(answers):
        places = np.flatnonzero(answers == row)
        told[places] = _explain_rows(
            reader, matrix[places], inputs.iloc[places], model.centre, int(row)
        )
    return [str(text) for text in told]


def _explain_rows(
    reader: Reader, matrix: sparse.csr_matrix, inputs: pd.DataFrame, centre: Any, row: int
) -> list[str]:
    effects, single = reader.effects(matrix, row)
    effects = effects - np.asarray(centre[row])
    count = min(MOST_REASONS, effects.shape[1])
    top = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :count]
    values: dict[str, list[Any]] = {name: inputs[name].tolist() for name in reader.names}
    if TEXT in values:
        raises = effects[:, reader.names.index(TEXT)] > 0
        silent = ~inputs[TEXT].fillna("").str.strip().astype(bool)
        values[TEXT] = [
            "no message from them" if quiet else f"what they wrote ('{term}')" if term else ""
            for quiet, term in zip(
                silent.tolist(), reader.strongest_terms(single, raises), strict=True
            )
        ]
    return [
        json.dumps(
            _reasons(reader.names, chosen, effects[place], values, place), ensure_ascii=False
        )
        for place, chosen in enumerate(top)
    ]


def _reasons(
    names: list[str], chosen: Array, effects: Array, values: dict[str, list[Any]], place: int
) -> list[dict[str, Any]]:
    return [
        {
            "words": _words(names[index], values[names[index]][place], float(effects[index])),
            "input": names[index],
            "effect": round(float(effects[index]), 4),
        }
        for index in chosen
        if abs(effects[index]) >= LEAST_EFFECT
    ]


def _words(name: str, value: Any, effect: float) -> str:
    verb = "raises" if effect > 0 else "lowers"
    if name == TEXT:
        return f"{value or 'what they wrote'} {verb} it"
    label = NAMES.get(name, name.removeprefix(ATTRIBUTE_PREFIX).replace("_", " "))
    if value is None or value != value:
        return f"{label} unknown {verb} it"
    if name == "is_reopened":
        return f"{'reopened' if value else 'not reopened'} {verb} it"
    if name == "day_of_week" and 1 <= value <= 7:
        return f"{label} {DAYS[int(value) - 1]} {verb} it"
    shown = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f"{label} {shown} {verb} it"


def _owners(fitted: Any, columns: list[str]) -> list[str]:
    """Which input each output column belongs to; outputs are named `<input>_<value>`."""
    longest_first = sorted(columns, key=len, reverse=True)
    owners = []
    for name in fitted.get_feature_names_out(columns):
        plain = str(name).removeprefix("missingindicator_")
        owners.append(
            next(
                column
                for column in longest_first
                if plain == column or plain.startswith(f"{column}_")
            )
        )
    return owners
