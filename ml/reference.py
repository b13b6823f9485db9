"""What the rows looked like that a model was made on; kept with its run, to tell later ones from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml import features as data
from ml.drift import Bins
from ml.features import TEXT
from ml.results import FROM_COMMENT, SENTIMENT
from ml.satisfaction import Trained

FILE = "reference.json"
MOST_ROWS = 20_000
LEAST_ROWS = 100


@dataclass(frozen=True)
class Reference:
    """Spread of inputs and scores until `until` (ISO), and how good the model was on its hold-out.

    `value` is by the gate's measure.
    """

    until: str
    inputs: dict[str, Bins]
    scores: Bins
    value: float

    def text(self) -> str:
        """As JSON."""
        content = {
            "until": self.until,
            "value": self.value,
            "scores": self.scores.as_json(),
            "inputs": {name: bins.as_json() for name, bins in self.inputs.items()},
        }
        return json.dumps(content, ensure_ascii=False, indent=1)

    @classmethod
    def read(cls, path: Path) -> Reference:
        """The one a file holds."""
        content = json.loads(path.read_text(encoding="utf-8"))
        inputs = {name: Bins(**bins) for name, bins in content["inputs"].items()}
        # an earlier Carelake knew one measure only
        value = content["value"] if "value" in content else content["roc_auc"]
        return cls(content["until"], inputs, Bins(**content["scores"]), value)


def reference_of(
    name: str, trained: Trained, keys: pd.Series[Any], folder: Path
) -> Reference | None:
    """Count the conversations up to the end of the hold-out, answered or not.

    Those who answer a survey are not like the others, so all are counted. Scores are those of rows
    the model did not learn from.

    Args:
        name: of the model.
        trained: the model.
        keys: of the labelled rows, in the order of its split.
        folder: of the feature files.

    Returns:
        None where rows have no times, or there are too few.
    """
    if trained.held_until is None:
        return None
    until = pd.Timestamp(trained.held_until)
    if name == SENTIMENT:
        return _of_texts(trained, folder, until)
    frame = sample(folder, name, None, until)
    if len(frame) < LEAST_ROWS:
        return None
    shaped = data.conform(data.conversation_inputs(frame), trained.columns)
    learned = set(keys[trained.split.train])
    unseen = ~frame["conversation_key"].isin(learned).to_numpy()
    chances = trained.model.predict_proba(shaped[unseen])[:, 1]
    return Reference(
        until=until.isoformat(),
        inputs=spread(shaped, trained.columns),
        scores=Bins.of_numbers(pd.Series(chances)),
        value=trained.metrics[trained.task.metric],
    )


def _of_texts(trained: Trained, folder: Path, until: pd.Timestamp) -> Reference | None:
    """Of the texts whose sentiment was told; scores are the chances of being negative, on the hold-out."""
    frame = data.read_sentiment(folder)
    frame = frame[frame["told_at"] <= until]
    if len(frame) < LEAST_ROWS:
        return None
    return Reference(
        until=until.isoformat(),
        inputs=text_spread(frame),
        scores=Bins.of_numbers(pd.Series(trained.chances[:, 0])),
        value=trained.metrics[trained.task.metric],
    )


def text_spread(frame: pd.DataFrame) -> dict[str, Bins]:
    """Bins of what can be told of texts without reading them."""
    shape = text_shape(frame)
    return {
        data.TEXT_LENGTH: Bins.of_numbers(shape[data.TEXT_LENGTH]),
        "language": Bins.of_texts(shape["language"]),
    }


def text_shape(frame: pd.DataFrame) -> pd.DataFrame:
    """Length and language of texts."""
    length = frame[TEXT].str.len().fillna(0).astype("float64")
    return pd.DataFrame({data.TEXT_LENGTH: length, "language": frame["language"]})


def spread(shaped: pd.DataFrame, columns: dict[str, str]) -> dict[str, Bins]:
    """Bins of each input but the text itself, whose length and language stand for it."""
    return {
        name: Bins.of_numbers(shaped[name]) if kind == "number" else Bins.of_texts(shaped[name])
        for name, kind in columns.items()
        if name != TEXT
    }


def sample(
    folder: Path, name: str, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> pd.DataFrame:
    """Conversations that closed after `since`, up to `until`; at most 20,000, by the hash of their key."""
    times = data.conversation_times(folder)
    chosen = times["occurred_at"].notna()
    if since is not None:
        chosen &= times["occurred_at"] > since
    if until is not None:
        chosen &= times["occurred_at"] <= until
    places = np.flatnonzero(chosen.to_numpy())
    if len(places) > MOST_ROWS:
        order = pd.util.hash_pandas_object(times["conversation_key"].iloc[places], index=False)
        places = np.sort(places[np.argsort(order.to_numpy(), kind="stable")[:MOST_ROWS]])
    frame = data.conversations_at(folder, places)
    return data.commented(frame) if name == FROM_COMMENT else frame
