"""The three calls the pipeline makes. Heavy imports happen inside them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carelake.settings import Home, Settings
    from ml.comparison import Comparison
    from ml.listing import VersionRow
    from ml.overruling import Verb
    from ml.repeat import Repeated
    from ml.results import Decision, HealthRow, ScoreResult, TrainResult


def _silent(_: str) -> None:
    return None


def train(
    home: Home,
    settings: Settings,
    features: Path,
    *,
    force: bool = False,
    held: dict[str, str] | None = None,
    candidates: Path | None = None,
    report: Callable[[str], None] = _silent,
) -> TrainResult:
    """Train all models on a feature folder, log them to MLflow and let the gate decide.

    Does nothing and logs nothing for a model whose (data, code, configuration) was already
    decided, unless `force`.

    Args:
        home: where MLflow and the decisions lie.
        settings: seed, label minimum, time budget.
        features: folder with `conversations.parquet` and `customers.parquet`.
        force: train again even if this was decided before, or batches are held.
        held: batches that a gate holds, with the reason. Nothing is then trained: what they bring, or
            what is wrong with them, would make another model.
        candidates: folder of a company's own candidates, `custom/candidates`.
        report: called with one plain line per thing worth telling.

    Raises:
        RunFailed: the feature files are missing or unreadable; or MLflow lost a champion, and
            `force` does not say that a new one may take its place.
    """
    from ml.own import read_own
    from ml.training import train_all
    from ml.turns import own_turn

    with own_turn(home, report):
        return train_all(
            home,
            settings,
            features,
            force=force,
            held=held or {},
            own=read_own(home, candidates),
            report=report,
        )


def repeat_run(
    home: Home,
    run_id: str,
    *,
    candidates: Path | None = None,
    report: Callable[[str], None] = _silent,
) -> Repeated:
    """Train what an MLflow run trained again, from the feature files kept for it.

    A run of its own tells what came of it; nothing is registered and nothing decided.

    Raises:
        ConfigError: no such run, or one that trained nothing.
        RunFailed: its feature files are gone, or code or libraries are others now.
    """
    from ml.own import read_own
    from ml.repeat import repeat_run as repeat
    from ml.turns import own_turn

    with own_turn(home, report):
        return repeat(home, run_id, read_own(home, candidates), report)


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


def sentiment_champion(home: Home) -> tuple[int, str] | None:
    """Version and content digest of the champion of `sentiment`; None without one."""
    from ml.registry import Registry
    from ml.results import SENTIMENT

    found = Registry(home).champion(SENTIMENT)
    return None if found is None else (int(found.version), str(found.tags["model_digest"]))


def turn_of_texts(
    home: Home, report: Callable[[str], None] = _silent
) -> AbstractContextManager[None]:
    """Hold this while texts are found, scored and recorded: two at once would write one file."""
    from ml.turns import own_turn

    return own_turn(home, report, "texts")


def score_texts(
    home: Home, texts: Path, target: Path, *, report: Callable[[str], None] = _silent
) -> int:
    """Score texts with the champion of `sentiment`; see `ml.sentiment`."""
    from ml.sentiment import score_texts as score_them
    from ml.turns import own_turn

    with own_turn(home, report):
        return score_them(home, texts, target)


def score_values(home: Home, features: Path, *, report: Callable[[str], None] = _silent) -> Path:
    """What each customer will still buy, as a file of `ml.value_scores`; see `ml.lifetime`."""
    from ml.lifetime import score_values as score_them
    from ml.turns import own_turn

    with own_turn(home, report):
        return score_them(home, features, report=report)


def watch(
    home: Home,
    settings: Settings,
    features: Path,
    scored: ScoreResult,
    *,
    report: Callable[[str], None] = _silent,
) -> list[HealthRow]:
    """Hold the newest rows and answers against those the champions were made on.

    The same features, champions and limits give the same rows, read from a file. A report goes to the
    champion's run.
    """
    from threadpoolctl import threadpool_limits

    from ml.health import watch as look
    from ml.turns import own_turn

    with own_turn(home, report), threadpool_limits(limits=1):
        return look(home, settings, features, scored, report)


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


def versions(home: Home, name: str | None = None) -> list[VersionRow]:
    """Every registered version with the newest decision on it, of one model or of all.

    Raises:
        ConfigError: no such model.
    """
    from ml.listing import list_versions

    return list_versions(home, name)


def compare(
    home: Home,
    settings: Settings,
    features: Path,
    name: str,
    first: int | None = None,
    second: int | None = None,
) -> Comparison:
    """Hold the challenger against the champion, or two versions against each other, on the same rows.

    Raises:
        ConfigError: no such model or version, or too few rows that both did not learn from.
        RunFailed: feature files missing, or a version whose files are not those registered.
    """
    from threadpoolctl import threadpool_limits

    from ml.comparison import compare_versions

    with threadpool_limits(limits=1):
        return compare_versions(home, settings, features, name, first, second)


def overrule(
    home: Home,
    verb: Verb,
    name: str,
    version: int | None,
    who: str,
    reason: str,
    *,
    report: Callable[[str], None] = _silent,
) -> tuple[Decision, bool]:
    """Take a person's decision on a version; gives it, and whether it is new.

    Raises:
        ConfigError: no such model or version, or the decision would change nothing.
        RunFailed: the version's files are not those registered.
    """
    from ml.overruling import decide
    from ml.turns import own_turn

    with own_turn(home, report):
        return decide(home, verb, name, version, who, reason)
