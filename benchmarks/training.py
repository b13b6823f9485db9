"""How long training all models takes on very many labelled conversations, and how much memory.

    python -m benchmarks.training --rows 1000000 --json -

Feature files of made-up conversations, every one of them labelled, in the words of the sample company, are
written to a scratch folder; then everything that `carelake train` does is done with them in a home of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from carelake.sample import texts_en, texts_zh
from carelake.settings import Home, Settings, prepare_environment

START = pd.Timestamp("2023-01-01", tz="UTC")
SECONDS = 365 * 86_400
PHRASES = {"en": texts_en, "zh": texts_zh}
PRODUCTS = {"en": ("kettle", "sofa", "desk lamp"), "zh": ("水壶", "沙发", "台灯")}
COMMENTED, MISHEARD = 0.3, 0.15
"""Share of answers with a comment; of texts whose mood is not the answer's."""

Array = np.ndarray[Any, np.dtype[Any]]


def main(arguments: list[str] | None = None) -> int:
    """Write the rows, train, print one JSON object of figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=1_000_000, help="labelled conversations")
    parser.add_argument("--json", default="-", metavar="FILE", help="where to; - is the screen")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch), given.rows)
    text = json.dumps(found, ensure_ascii=False)
    if given.json == "-":
        print(text)
    else:
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    return 0


def measure(scratch: Path, rows: int) -> dict[str, Any]:
    """Seconds (of the clock, and of cores), peak memory in MB, and what was decided per model.

    Peak memory is that of the whole process, the writing of the rows included.
    """
    import ml

    features = scratch / "features" / "f00d"
    write_features(features, rows)
    home = Home(scratch / "home")
    prepare_environment(home)
    began, busy = time.perf_counter(), _busy()
    result = ml.train(home, Settings(), features, report=_tell)
    return {
        "rows": rows,
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(_busy() - busy, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "decisions": {
            each.model_name: {"decision": each.decision, "n_train": each.n_train, "n_test": each.n_test}
            for each in result.decisions
        },
    }  # fmt: skip


def write_features(folder: Path, rows: int, seed: int = 1) -> None:
    """Feature files of so many labelled conversations over a year, and of their customers.

    Args:
        folder: to write into.
        rows: of conversations; a tenth as many customers, and a text of known sentiment per comment.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    talks = _conversations(rng, rows)
    talks.to_parquet(folder / "conversations.parquet", index=False)
    _customers(rng, max(rows // 10, 400)).to_parquet(folder / "customers.parquet", index=False)
    said = talks[talks["comment"].notna()]
    sounds = said["label_satisfied"].map({True: "positive", False: "negative"}).to_numpy()
    sounds[rng.random(len(said)) < 0.1] = "neutral"
    pd.DataFrame(
        {
            "sentiment_key": said["conversation_key"],
            "customer_key": said["customer_key"],
            "told_by": "survey",
            "text": said["comment"],
            "language": said["language"],
            "channel": said["channel"],
            "sentiment": sounds,
            "told_at": said["label_at"],
        }
    ).to_parquet(folder / "sentiment.parquet", index=False)


def _conversations(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    wait = rng.lognormal(3, 1.4, rows)
    happy = rng.random(rows) < 1 / (1 + np.exp(0.8 * (np.log1p(wait) - 4)))
    language = rng.choice(["en", "zh"], rows)
    needs = rng.choice(list(texts_en.OPENINGS), rows)
    opened = START + pd.to_timedelta(np.sort(rng.integers(0, SECONDS, rows)), unit="s")
    closed = opened + pd.to_timedelta(wait * 3, unit="min")
    heard = np.where(rng.random(rows) < MISHEARD, ~happy, happy)
    comments = _composed(rng, language, heard, None)
    comments[rng.random(rows) >= COMMENTED] = None
    return pd.DataFrame(
        {
            "conversation_key": [f"c{place:09d}" for place in range(rows)],
            "customer_key": [f"p{place % max(rows // 10, 400):08d}" for place in range(rows)],
            "occurred_at": closed,
            "opened_at": opened,
            "channel": rng.choice(["email", "chat", "phone", "social"], rows),
            "category": needs,
            "language": language,
            "hour_of_day": opened.hour.astype("int32"),
            "day_of_week": (opened.day_of_week + 1).astype("int32"),
            "n_inbound": rng.integers(1, 6, rows),
            "first_reply_minutes": np.where(rng.random(rows) < 0.1, np.nan, wait),
            "handle_seconds": rng.lognormal(5, 1, rows).round(),
            "is_reopened": rng.random(rows) < 0.1,
            "text": _composed(rng, language, heard, needs),
            "comment": comments,
            "attributes": [
                json.dumps({"tier": each}) for each in rng.choice(["gold", "blue", "none"], rows)
            ],
            "label_satisfied": happy,
            "label_at": closed + pd.to_timedelta(2, unit="h"),
        }
    )


def _composed(
    rng: np.random.Generator, languages: Array, moods: Array, needs: Array | None
) -> Array:
    """A text per row: what it is about, a detail and a mood; without needs a survey's remark."""
    picks = rng.integers(0, 2**31, (len(languages), 4))
    numbers = picks[:, 3].tolist()
    texts = []
    for place, (language, mood) in enumerate(zip(languages, moods, strict=True)):
        phrases, (one, other, third, _) = PHRASES[language], picks[place].tolist()
        sound = "good" if mood else "bad"
        parts: list[str] = []
        if needs is None:
            parts.append(_one(phrases.REMARKS[sound], one))
        else:
            opening = _one(phrases.OPENINGS[needs[place]], one)
            parts += [opening, _one(phrases.DETAILS, other), _one(phrases.MOODS[sound], third)]
        slots = _Slots(language, numbers[place])
        texts.append(", ".join(parts).format_map(slots))
    return np.array(texts, dtype=object)


def _one(phrases: Any, number: int) -> str:
    return str(phrases[number % len(phrases)])


class _Slots(dict[str, str]):
    """What a phrase's `{slot}` is filled with: a product, else a number of its own."""

    def __init__(self, language: str, number: int) -> None:
        products = PRODUCTS[language]
        super().__init__(product=products[number % len(products)], days=str(2 + number % 14))
        self._number = number

    def __missing__(self, name: str) -> str:
        return f"{name[:2]}{self._number}"


def _customers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    group = rng.integers(0, 4, rows)
    orders = np.array([24, 6, 1, 1])[group] + rng.poisson(0.4, rows)
    last = np.array([8, 30, 20, 300])[group] * rng.lognormal(0, 0.15, rows)
    value = orders * np.array([300, 90, 60, 25])[group] * rng.lognormal(0, 0.15, rows)
    return pd.DataFrame(
        {
            "customer_key": [f"p{place:08d}" for place in range(rows)],
            "n_conversations": 10,
            "n_channels": rng.integers(1, 3, rows),
            "n_orders": orders,
            "order_value": value.round(2),
            "order_value_90d": (value * np.array([0.6, 0.4, 1.0, 0.0])[group]).round(2),
            "avg_order_value": (value / orders).round(2),
            "days_since_last_order": last.astype(int),
            "days_since_first_order": (last + orders * 12).astype(int),
            "age": np.where(rng.random(rows) < 0.2, np.nan, rng.integers(18, 80, rows)),
            "gender": rng.choice(np.array(["female", "male", None], dtype=object), rows),
            "is_contact_only": False,
        }
    )


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
