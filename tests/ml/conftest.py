"""Feature files of a made-up company with a planted signal, and homes to train in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from carelake.settings import Home, ModelSettings, Settings, prepare_environment

SETTINGS = Settings(ml=ModelSettings(time_budget_seconds=20))
HAPPY = ["thank you so much", "that works now", "很好 谢谢", "解决了 非常满意"]
ANGRY = ["still waiting for a refund", "this is the third time", "还没有收到退款", "太慢了 很失望"]
PLAIN = [
    "order {n} arrived in a blue box",
    "my parcel {n} is on its way",
    "订单{n}已经发货",
    "{n}号包裹到了",
]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small matrices lose time on threads, and several test runs may share the machine."""
    from threadpoolctl import threadpool_limits

    import ml.training  # noqa: F401  (loads the libraries whose threads are limited)

    with threadpool_limits(limits=1):
        yield


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable a home sets is put back afterwards."""
    for key, value in os.environ.items():
        monkeypatch.setenv(key, value)
    for key in ("MLFLOW_TRACKING_URI", "CARELAKE_MLFLOW_URI"):
        monkeypatch.delenv(key, raising=False)
    prepare_environment(Home(tmp_path / "unused"))


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: making one takes seconds, copying it none."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def new_home(tmp_path: Path, empty_mlflow: Path) -> Callable[[str], Home]:
    """Make a fresh home by name."""

    def make(name: str = "home") -> Home:
        home = Home(tmp_path / name)
        home.mlflow_dir.mkdir(parents=True)
        shutil.copy(empty_mlflow, home.mlflow_dir / "mlflow.db")
        return home

    return make


@pytest.fixture
def home(new_home: Callable[[str], Home]) -> Home:
    """A fresh home."""
    return new_home("home")


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of a company whose customers mind waiting, and say so."""
    folder = tmp_path_factory.mktemp("features") / "f00d"
    return write_features(
        folder, conversations(900, seed=1), customers(400, seed=1), texts(400, seed=1)
    )


@pytest.fixture(scope="session")
def trained(
    features: Path, empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Home, Any]]:
    """A home trained once on `features`, for tests that only look."""
    import ml

    home = Home(tmp_path_factory.mktemp("trained"))
    home.mlflow_dir.mkdir(parents=True)
    shutil.copy(empty_mlflow, home.mlflow_dir / "mlflow.db")
    yield home, ml.train(home, SETTINGS, features)


def write_features(
    folder: Path, talks: pd.DataFrame, people: pd.DataFrame, said: pd.DataFrame | None = None
) -> Path:
    """Write the feature files; without texts there is no file of them, as an earlier Carelake left it."""
    folder.mkdir(parents=True, exist_ok=True)
    talks.to_parquet(folder / "conversations.parquet", index=False)
    people.to_parquet(folder / "customers.parquet", index=False)
    if said is not None:
        said.to_parquet(folder / "sentiment.parquet", index=False)
    return folder


def texts(count: int, seed: int, told_by: tuple[str, ...] = ("survey",)) -> pd.DataFrame:
    """Texts over 120 days that sound as they are labelled, nine of ten times.

    Args:
        count: of rows.
        seed: of everything.
        told_by: who told, drawn per row.
    """
    rng = np.random.default_rng(seed)
    sounds = rng.choice(["negative", "neutral", "positive"], count, p=[0.3, 0.2, 0.5])
    words = {"negative": ANGRY, "neutral": PLAIN, "positive": HAPPY}
    said = [str(rng.choice(words[each])).format(n=rng.integers(10_000)) for each in sounds]
    wrong = rng.random(count) < 0.1
    labels = np.where(wrong, rng.permutation(sounds), sounds)
    return pd.DataFrame(
        {
            "sentiment_key": [f"s{seed}-{place:06d}" for place in range(count)],
            "customer_key": [f"p{place % 400:05d}" for place in range(count)],
            "told_by": rng.choice(list(told_by), count),
            "text": said,
            "language": np.where(pd.Series(said).str.contains("[一-鿿]"), "zh", "en"),
            "channel": rng.choice(["email", "chat"], count),
            "sentiment": labels,
            "told_at": pd.Timestamp("2024-01-01", tz="UTC")
            + pd.to_timedelta(np.sort(rng.integers(0, 120 * 86_400, count)), unit="s"),
        }
    )


def conversations(count: int, seed: int, signal: float = 1.0) -> pd.DataFrame:
    """Conversations over 120 days; half are surveyed. Waiting, tenure and words drive the answer.

    Args:
        count: of rows.
        seed: of everything.
        signal: 0 leaves nothing to learn.
    """
    rng = np.random.default_rng(seed)
    wait = rng.lognormal(3, 1.4, count)
    tenure = rng.choice(["0-30", "31-90", ">90"], count)
    push = signal * (1.3 - 0.9 * (np.log1p(wait) - 3) + np.select([tenure == "0-30"], [-1.0], 0.3))
    happy = rng.random(count) < 1 / (1 + np.exp(-push))
    says = np.where(rng.random(count) < 0.5, happy, rng.random(count) < 0.5)
    texts = [
        f"{rng.choice(PLAIN).format(n=rng.integers(10_000))}. "
        f"{rng.choice(HAPPY if mood or signal == 0 else ANGRY)}"
        for mood in says
    ]
    opened = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        np.sort(rng.integers(0, 120 * 86_400, count)), unit="s"
    )
    closed = opened + pd.to_timedelta(wait * 3, unit="min")
    surveyed = rng.random(count) < 0.5
    language = np.where(pd.Series(texts).str.contains("[一-鿿]", regex=True), "zh", "en")
    frame = pd.DataFrame(
        {
            "conversation_key": [f"c{seed}-{place:06d}" for place in range(count)],
            "customer_key": [f"p{place % 400:05d}" for place in range(count)],
            "occurred_at": closed,
            "opened_at": opened,
            "channel": rng.choice(["email", "chat", "phone"], count),
            "category": rng.choice(["Returns", "Delivery", "Billing"], count),
            "language": language,
            "hour_of_day": opened.hour.astype("int32"),
            "day_of_week": (opened.dayofweek + 1).astype("int32"),
            "n_inbound": rng.integers(1, 6, count),
            "first_reply_minutes": np.where(rng.random(count) < 0.1, np.nan, wait),
            "handle_seconds": np.nan,
            "is_reopened": rng.random(count) < 0.1,
            "agent_name": rng.choice(["Li", "Ada"], count),
            "text": np.where(rng.random(count) < 0.15, None, np.array(texts, dtype=object)),
            "attributes": [
                json.dumps({"Tenure Bucket": each, "ticket": f"T{place}"})
                for place, each in enumerate(tenure)
            ],
        }
    )
    frame["label_satisfied"] = pd.Series(happy, dtype="boolean").where(pd.Series(surveyed), pd.NA)
    frame["label_at"] = pd.Series(closed + pd.to_timedelta(2, unit="h")).where(surveyed)
    # Nearly all who say more in the survey say what they mean.
    honest = np.where(rng.random(count) < 0.9, happy, ~happy)
    words = np.array([rng.choice(HAPPY if mood else ANGRY) for mood in honest], dtype=object)
    frame["comment"] = np.where(surveyed & (rng.random(count) < 0.7), words, None)
    return frame


def customers(count: int, seed: int) -> pd.DataFrame:
    """Customers of four planted groups of buyers, and a tenth who never bought."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, count)
    orders = np.array([24, 6, 1, 1])[group] + rng.poisson(0.4, count)
    last = np.array([8, 30, 20, 300])[group] * rng.lognormal(0, 0.15, count)
    value = orders * np.array([300, 90, 60, 25])[group] * rng.lognormal(0, 0.15, count)
    frame = pd.DataFrame(
        {
            "customer_key": [f"p{place:05d}" for place in range(count)],
            "n_conversations": rng.poisson(np.array([6, 3, 1, 1])[group]),
            "n_conversations_90d": rng.poisson(np.array([3, 1, 1, 0])[group]),
            "n_channels": rng.integers(1, 3, count),
            "n_orders": orders,
            "order_value": value.round(2),
            "order_value_90d": (value * np.array([0.6, 0.4, 1.0, 0.0])[group]).round(2),
            "avg_order_value": (value / orders).round(2),
            "days_since_last_order": last.astype(int),
            "days_since_first_order": (last + orders * 12).astype(int),
            "mean_satisfaction": rng.random(count),
            "age": np.where(rng.random(count) < 0.2, np.nan, rng.integers(18, 80, count)),
            "gender": rng.choice(["female", "male", None], count),
            "is_contact_only": False,
        }
    )
    silent = rng.random(count) < 0.1
    frame.loc[silent, ["n_orders", "order_value", "order_value_90d"]] = 0
    frame.loc[silent, ["days_since_last_order", "days_since_first_order"]] = np.nan
    frame.loc[silent, "is_contact_only"] = True
    return frame
