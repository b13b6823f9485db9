"""The three calls the pipeline makes. Heavy imports happen inside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carelake.settings import Home, Settings
    from ml.results import ScoreResult, TrainResult


def _silent(_: str) -> None:
    return None


def train(
    home: Home,
    settings: Settings,
    features: Path,
    *,
    force: bool = False,
    report: Callable[[str], None] = _silent,
) -> TrainResult:
    """Train both models on a feature folder, log them to MLflow and let the gate decide.

    Does nothing and logs nothing for a model whose (data, code, configuration) was already
    decided, unless `force`.

    Args:
        home: where MLflow and the decisions lie.
        settings: seed, label minimum, time budget.
        features: folder with `conversations.parquet` and `customers.parquet`.
        force: train again even if this was decided before.
        report: called with one plain line per thing worth telling.

    Raises:
        RunFailed: the feature files are missing or unreadable; or MLflow lost a champion, and
            `force` does not say that a new one may take its place.
    """
    from ml.training import train_all
    from ml.turns import own_turn

    with own_turn(home, report):
        return train_all(home, settings, features, force=force, report=report)


def score(
    home: Home,
    settings: Settings,
    features: Path,
    *,
    report: Callable[[str], None] = _silent,
) -> ScoreResult:
    """Score every conversation and every customer with the champions.

    Raises:
        RunFailed: feature files missing, or a champion whose files are not those registered.
    """
    from ml.scoring import score_all
    from ml.turns import own_turn

    with own_turn(home, report):
        return score_all(home, settings, features, report=report)


def has_champion(home: Home) -> dict[str, bool]:
    """Model name -> whether there is a champion that a decision tells of.

    Touches nothing in a new home. A training that was killed after it had crowned a version left no
    decision: it is to be made again, which gives the same version.
    """
    from ml.results import MODELS, versions_decided

    uri = home.mlflow_uri
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return dict.fromkeys(MODELS, False)
    from ml.registry import Registry

    registry = Registry(home)
    champions = {name: registry.champion(name) for name in MODELS}
    return {
        name: champion is not None and int(champion.version) in versions_decided(home, name)
        for name, champion in champions.items()
    }
