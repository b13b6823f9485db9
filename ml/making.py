"""From feature files to a trained model in the active run; training and its repetition share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carelake.settings import Settings
from ml import competition, deep, satisfaction, segmentation
from ml import features as data
from ml.own import OwnCandidates
from ml.registry import Registry, code_version
from ml.results import FROM_COMMENT, SATISFIED, SENTIMENT, SENTIMENTS
from ml.runs import signature
from ml.satisfaction import Labelled, TooFewLabels, Trained
from ml.segmentation import Segments
from ml.split import time_order
from ml.tasks import TASKS, Task

Array = np.ndarray[Any, np.dtype[Any]]

LEAST_OF_CLASS = 10
"""A sentiment that fewer texts have cannot be learned, and is left out."""


@dataclass(frozen=True)
class LabelledRows:
    """What a model of classes may learn from; `digest` names rows, inputs and labels."""

    labelled: Labelled
    notes: list[str]
    digest: str

    @property
    def n(self) -> int:
        """How many."""
        return len(self.labelled.labels)


def labelled_rows(name: str, settings: Settings, folder: Path) -> LabelledRows:
    """Labelled rows of a feature folder, the newest that fit the time budget."""
    most = competition.most_rows(settings.ml.time_budget_seconds)
    return _texts(folder, most) if name == SENTIMENT else _conversations(name, folder, most)


def _conversations(name: str, folder: Path, most: int) -> LabelledRows:
    frame = data.read_labelled(folder, with_comment=name == FROM_COMMENT)
    frame, notes = _newest(frame, data.known_times(frame), "conversation_key", most)
    inputs = data.conversation_inputs(frame)
    seen = pd.concat(
        [frame[["conversation_key", "label", "occurred_at", "label_at"]], inputs], axis=1
    )
    labels = frame["label"].to_numpy().astype(int)
    rows = Labelled(
        inputs,
        labels,
        data.known_times(frame),
        frame["conversation_key"],
        inputs[list(satisfaction.ABOUT)],
        people=data.people_inputs(frame),
    )
    return LabelledRows(rows, notes, data.frame_digest(seen))


def _texts(folder: Path, most: int) -> LabelledRows:
    frame = data.read_sentiment(folder)
    frame, notes = _newest(frame, frame["told_at"], "sentiment_key", most)
    counts = frame["sentiment"].value_counts()
    classes = tuple(name for name in SENTIMENTS if counts.get(name, 0) >= LEAST_OF_CLASS)
    notes += [
        f"No text is called {name} by this model: {int(counts.get(name, 0))} are known, "
        f"{LEAST_OF_CLASS} are needed."
        for name in SENTIMENTS
        if name not in classes
    ]
    digest = data.frame_digest(frame.drop(columns="customer_key"))
    kept = frame[frame["sentiment"].isin(classes)].reset_index(drop=True)
    places = {name: place for place, name in enumerate(classes)}
    rows = Labelled(
        data.text_inputs(kept[data.TEXT]),
        kept["sentiment"].map(places).to_numpy().astype(int),
        kept["told_at"],
        kept["sentiment_key"],
        kept[list(satisfaction.ABOUT)],
        classes=classes,
        kinds=kept["told_by"],
        better="message",
    )
    return LabelledRows(rows, notes, digest)


def extra_of(name: str) -> str:
    """Packages of the extra `deep` that may compete for a model, with versions; empty without it."""
    return deep.installed() if name in TASKS and TASKS[name].search.deep else ""


def code_of(task: Task, own: OwnCandidates) -> str:
    """Which code a model is made by: ours, the company's, and the extra's where it may compete."""
    return code_version(own.digest + extra_of(task.name))


def train(name: str, rows: LabelledRows, settings: Settings, own: OwnCandidates) -> Trained:
    """Train a model of classes, with a company's own candidates beside ours.

    Raises:
        TooFewLabels: there is not enough to learn from.
    """
    task = TASKS[name]
    found = rows.labelled
    if name == SENTIMENT and len(found.classes) < 2:
        raise TooFewLabels(_no_sentiments(rows, settings.ml.min_labels))
    satisfaction.check_labels(found.labels, settings.ml.min_labels, task.rows, found.classes)
    trained = satisfaction.train_classes(
        task,
        found,
        settings.random_seed,
        settings.ml.time_budget_seconds,
        own,
        settings.ml.costs if found.classes == SATISFIED else None,
    )
    trained.notes.extend(rows.notes)
    return trained


def _no_sentiments(rows: LabelledRows, least: int) -> str:
    known = ", ".join(
        f"{int((rows.labelled.labels == 0).sum())} {each}" for each in rows.labelled.classes
    )
    return (
        f"{rows.n} texts with a known sentiment ({known or 'none of a kind is enough'}), {least} of two kinds "
        "are needed (ml.min_labels): map a `sentiment` column of communications, or surveys with remarks"
    )


def log_chances(registry: Registry, trained: Trained, settings: Settings) -> str:
    """Log a model of classes into the active run; gives its address."""
    told: dict[str, Any] = {"split": trained.split.words, "classes": list(trained.classes)}
    if trained.classes == SATISFIED:
        told["satisfied_at"] = settings.ml.satisfied_at
    return registry.log_model(
        trained.model,
        signature(trained.columns, np.zeros((1, len(trained.classes)))),
        trained.example,
        told,
        pyfunc_predict_fn="predict_proba",
    )


def buyers(folder: Path) -> tuple[pd.DataFrame, int, str]:
    """All customers, how many of them ordered, and the digest of what segments are made of."""
    customers = data.read_customers(folder)
    found = segmentation.clusterable(customers)
    relevant = found[["customer_key", "gender", "age", *segmentation.INPUTS]]
    return customers, len(found), data.frame_digest(relevant)


def log_segmentation(registry: Registry, found: Segments, ids: Array) -> str:
    """Log a segmentation into the active run; gives its address."""
    return registry.log_model(
        found.pipeline,
        signature(dict.fromkeys(segmentation.INPUTS, "number"), ids[:1], is_strict=True),
        segmentation.model_inputs(found.sample).head(5).reset_index(drop=True),
        {"segment_names": found.names},
    )


def _newest(
    frame: pd.DataFrame, times: pd.Series[Any], key: str, most: int
) -> tuple[pd.DataFrame, list[str]]:
    if len(frame) <= most:
        return frame, []
    newest = np.sort(time_order(times, frame[key])[-most:])
    note = f"The {len(frame) - most:,} oldest labelled rows were left out (time budget)."
    return frame.iloc[newest].reset_index(drop=True), [note]
