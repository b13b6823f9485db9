"""Why a chance is high or low: the three inputs that move it most.

Read from the linear part of a model: coefficient times input, summed per input column, less what
that column contributes on average. Of more than two classes, reasons are those of the class that is
the answer. A model without a linear part gives no reasons.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from ml.estimators import Blend, Calibrated, corrected
from ml.features import TEXT
from ml.terms import sentence, shown_number

Array = np.ndarray[Any, np.dtype[Any]]

MOST_REASONS = 3
LEAST_EFFECT = 0.01
MOST_SENTENCES = 20_000
SAID_IN_WORDS = frozenset({TEXT, "is_reopened", "day_of_week"})
"""Inputs whose numbers are told by a word."""
PLACE = "\x00"
"""Stands where a number goes."""
_WORD = re.compile(r"^(?!not:|_)(?:.*[\u3400-\ufaff]{2}|.*[^\W\u3400-\ufaff])")


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
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        told = matrix.data * self.pipeline[-1].coef_[row][matrix.indices]
        single = sparse.csr_matrix((told, matrix.indices, matrix.indptr), shape=matrix.shape)
        size = len(self.names)
        places = _owners_of(single) * size + self.groups[single.indices]
        summed = np.bincount(places, told, minlength=single.shape[0] * size)
        return summed.reshape(single.shape[0], size), single

    def matrix(self, inputs: pd.DataFrame) -> sparse.csr_matrix:
        """Rows in the columns of the linear model."""
        return sparse.csr_matrix(self.pipeline[0].transform(inputs))

    def strongest_terms(self, single: sparse.csr_matrix, raises: Array) -> list[str]:
        """Per row, the word or pair of words that moves the chance most in the text's direction."""
        if not len(self.terms):
            return [""] * single.shape[0]
        first = int(self.terms[0])
        words = sparse.csr_matrix(single[:, first : first + len(self.terms)])
        owners = _owners_of(words)
        signed = words.data * np.where(raises, 1.0, -1.0)[owners]
        peak = np.zeros(single.shape[0])
        np.maximum.at(peak, owners, signed)
        tops = np.flatnonzero((signed > 0) & (signed == peak[owners]))[::-1]
        found = np.full(single.shape[0], "", dtype=object)
        found[owners[tops]] = self.term_names[words.indices[tops]]  # of equal ones the first stays
        return [str(term) for term in found]


def _owners_of(matrix: sparse.csr_matrix) -> Array:
    """Which row each stored value belongs to."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def strongest_words(reader: Reader, matrix: sparse.csr_matrix, answers: Array) -> list[list[str]]:
    """Per row at most three words of its text that speak most for its answer, the strongest first.

    Words that hold one another (退款, 没退款) count once. Left out are marks, single Chinese characters,
    and negated copies ("not:help"), which say less than the pair of words they come from.
    """
    found: list[list[str]] = [[] for _ in range(matrix.shape[0])]
    if not len(reader.terms):
        return found
    first, last = int(reader.terms[0]), int(reader.terms[-1]) + 1
    coefficients = reader.pipeline[-1].coef_[:, first:last]
    written = np.array([bool(_WORD.search(str(name))) for name in reader.term_names])
    terms = matrix[:, first:last]
    for one in np.unique(answers):
        weights = coefficients[one] if len(coefficients) > 1 else coefficients[0] * (2 * one - 1)
        places = np.flatnonzero(answers == one)
        for place, names in zip(
            places, _strongest(terms[places], weights * written, reader.term_names), strict=True
        ):
            found[place] = names
    return found


def _strongest(terms: sparse.csr_matrix, weights: Array, names: Array) -> list[list[str]]:
    single = sparse.csr_matrix(terms.multiply(weights))
    owners = _owners_of(single)
    order = np.lexsort((single.indices, -single.data, owners))
    rank = np.arange(len(order)) - single.indptr[owners]
    kept = order[(rank < 3 * MOST_REASONS) & (single.data[order] > 0)]
    chosen: list[list[str]] = [[] for _ in range(single.shape[0])]
    for owner, name in zip(
        owners[kept].tolist(), names[single.indices[kept]].tolist(), strict=True
    ):
        words = chosen[owner]
        if len(words) < MOST_REASONS and not any(name in word or word in name for word in words):
            words.append(name)
    return chosen


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


def reader_of(model: Any) -> Reader | None:
    """What reads a model's reasons; None where it has none to tell."""
    pipeline = linear_part(model)
    if pipeline is None or getattr(model, "centre", None) is None:
        return None
    return Reader.of(pipeline)


def told(model: Any, inputs: pd.DataFrame, reader: Reader | None) -> tuple[Array, list[str]]:
    """Chances (rows x classes) and reasons of each row; what both need is worked out once.

    Args:
        model: a `Calibrated`.
        inputs: rows in the model's columns.
        reader: `reader_of(model)`, made once for all chunks of rows.
    """
    if reader is None:
        return model.predict_proba(inputs), ["[]"] * len(inputs)
    matrix = reader.matrix(inputs)
    chances = chances_of(model, inputs, reader.pipeline, matrix)
    return chances, _explained(model, reader, matrix, inputs, chances)


def chances_of(
    model: Any, inputs: pd.DataFrame, pipeline: Pipeline, matrix: sparse.csr_matrix
) -> Array:
    """What `predict_proba` gives, of rows that are in the columns of the linear part already."""
    inner = model.model
    if inner is pipeline:
        raw = pipeline[-1].predict_proba(matrix)
    elif isinstance(inner, Blend) and inner.linear is pipeline:
        flat, tall = pipeline[-1].predict_proba(matrix), inner.trees.predict_proba(inputs)
        raw = (1 - inner.share) * flat + inner.share * tall
    else:
        raw = inner.predict_proba(inputs)
    return corrected(raw, model.slope, model.shifts)


def explain(model: Any, inputs: pd.DataFrame) -> list[str]:
    """The three strongest reasons of each row as JSON text.

    Args:
        model: a `Calibrated` with its `centre`.
        inputs: rows in the model's columns.

    Returns:
        Per row a JSON array of {"words", "words_zh", "input", "effect"}: effect on the logit of being
        satisfied (of the answer, where there are more than two), strongest first; `[]` where the
        model has no linear part.
    """
    return told(model, inputs, reader_of(model))[1]


def _explained(
    model: Any, reader: Reader, matrix: sparse.csr_matrix, inputs: pd.DataFrame, chances: Array
) -> list[str]:
    if len(reader.pipeline[-1].coef_) == 1:
        return _explain_rows(reader, matrix, inputs, model.centre, 0)
    answers = np.argmax(chances * np.asarray(model.weights), axis=1)
    found = np.array(["[]"] * len(inputs), dtype=object)
    for row in np.unique(answers):
        places = np.flatnonzero(answers == row)
        found[places] = _explain_rows(
            reader, matrix[places], inputs.iloc[places], model.centre, int(row)
        )
    return [str(text) for text in found]


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
            None if quiet else term
            for quiet, term in zip(
                silent.tolist(), reader.strongest_terms(single, raises), strict=True
            )
        ]
    return [
        _reasons(reader.names, chosen.tolist(), effects[place, chosen].tolist(), values, place)
        for place, chosen in enumerate(top)
    ]


def _reasons(
    names: list[str],
    chosen: list[int],
    effects: list[float],
    values: dict[str, list[Any]],
    place: int,
) -> str:
    """A row's reasons as JSON text, put together from parts: `json.dumps` took half of the time."""
    return "[{}]".format(
        ", ".join(
            f"{_told_of(names[index], values[names[index]][place], effect > 0)}{round(effect, 4)!r}}}"
            for index, effect in zip(chosen, effects, strict=True)
            if abs(effect) >= LEAST_EFFECT
        )
    )


def _told_of(name: str, value: Any, raises: bool) -> str:
    """All of a reason but its effect; numbers are nearly all different, words are what others said."""
    if isinstance(value, float) and value == value and name not in SAID_IN_WORDS:
        return shown_number(value).join(_frame(name, raises))
    return _begun(name, value, raises)


@lru_cache(maxsize=MOST_SENTENCES)
def _frame(name: str, raises: bool) -> list[str]:
    """What stands around a number in the reason that tells of it, in both languages."""
    return _begun(name, PLACE, raises).split(json.dumps(PLACE).strip('"'))


@lru_cache(maxsize=MOST_SENTENCES, typed=True)
def _begun(name: str, value: Any, raises: bool) -> str:
    """All of a reason but its effect; most rows say what others said."""
    effect = 1.0 if raises else -1.0
    told = {
        "words": sentence(name, value, effect, "en"),
        "words_zh": sentence(name, value, effect, "zh"),
        "input": name,
    }
    return json.dumps(told, ensure_ascii=False).removesuffix("}") + ', "effect": '


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
