"""Repeat an old training from the feature files kept for it; the same model must come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from threadpoolctl import threadpool_limits

from carelake.errors import ConfigError, RunFailed
from carelake.setting_groups.company import ModelSettings
from carelake.settings import Home, Settings
from ml import making, satisfaction, segmentation
from ml.evaluation import mean_gain
from ml.gate import Question, Rival
from ml.kept import kept_features
from ml.own import OwnCandidates
from ml.registry import EXTRA_TAG, Registry, code_version, config_digest, libraries
from ml.results import MODELS, SEGMENTS
from ml.runs import log_satisfaction, log_segments
from ml.tasks import TASKS

REPETITION = Rival(note="a repetition decides nothing")


@dataclass(frozen=True)
class Repeated:
    """What came of it; `is_same` when the content is that of the run repeated."""

    model_name: str
    run_id: str
    model_digest: str
    expected: str

    @property
    def is_same(self) -> bool:
        """Whether the same model came out."""
        return self.model_digest == self.expected


def repeat_run(
    home: Home, run_id: str, own: OwnCandidates, report: Callable[[str], None]
) -> Repeated:
    """See `ml.repeat_run`."""
    registry = Registry(home)
    name, tags = _origin(registry, run_id)
    _check_extra(run_id, tags, making.extra_of(name))
    code = code_version() if name == SEGMENTS else making.code_of(TASKS[name], own)
    folder = _checked(home, run_id, tags, code)
    settings = _settings(tags)
    report(f"{name}: repeating run {run_id} on features {folder.name}")
    with threadpool_limits(limits=1):
        if name == SEGMENTS:
            digest, made = _segments(registry, settings, folder, run_id, tags)
        else:
            digest, made = _satisfaction(registry, name, settings, folder, run_id, tags, own)
    return Repeated(name, made, digest, tags["model_digest"])


def _origin(registry: Registry, run_id: str) -> tuple[str, dict[str, str]]:
    """Model and tags of a run that trained one."""
    try:
        run = registry.client.get_run(run_id)
    except MlflowException as error:
        raise ConfigError(
            f"run '{run_id}' is not in MLflow; `carelake models list --json` has ids"
        ) from error
    name = registry.client.get_experiment(run.info.experiment_id).name
    if name not in MODELS or "model_digest" not in run.data.tags:
        above = run.data.tags.get("mlflow.parentRunId")
        mend = f"; take the run above it, {above}" if above else ""
        raise ConfigError(f"run '{run_id}' made no model{mend}")
    return name, dict(run.data.tags)


def _check_extra(run_id: str, tags: dict[str, str], here: str) -> None:
    there = tags.get(EXTRA_TAG, "")
    if there != here:
        raise RunFailed(
            f"run {run_id}: was trained {_beside(there)} the extra `deep`, here it is {here or 'not there'}; "
            "install what it was trained with (docs/ml-engineer.md), or take the extra out by `make setup`"
        )


def _beside(extra: str) -> str:
    return f"with {extra} of" if extra else "without"


def _checked(home: Home, run_id: str, tags: dict[str, str], code: str) -> Path:
    """The run's feature files, if code and libraries are those it was made with."""
    if "config" not in tags:
        raise RunFailed(
            f"run {run_id}: an earlier Carelake made it, and did not keep what a repetition needs"
        )
    if tags["code_version"] != code:
        raise RunFailed(
            f"run {run_id}: was trained by other code ({tags['code_version']}, this is {code}); check out "
            "the version of Carelake, and of custom/candidates, that it was trained with"
        )
    if tags["libraries"] != libraries():
        raise RunFailed(
            f"run {run_id}: was trained with {tags['libraries']}, here are {libraries()}; install those"
        )
    folder = kept_features(home, tags["features_digest"])
    if folder is None:
        raise RunFailed(
            f"run {run_id}: its feature files are gone ({home.kept_features / tags['features_digest']}); "
            "put them back from a copy"
        )
    return folder


def _settings(tags: dict[str, str]) -> Settings:
    content = json.loads(tags["config"])
    return Settings(random_seed=content.pop("seed"), ml=ModelSettings.model_validate(content))


def _question(
    name: str, metric: str, settings: Settings, folder: Path, data_digest: str, tags: dict[str, str]
) -> Question:
    if data_digest != tags["data_digest"]:
        raise RunFailed(
            f"{folder}: holds other rows than the run was trained on; put the files back from a copy"
        )
    code = tags["code_version"]
    return Question(name, metric, data_digest, config_digest(settings), code, folder.name, 1)


def _run_tags(question: Question, run_id: str) -> dict[str, str]:
    return {**question.tags, "repeats": run_id}


def _satisfaction(
    registry: Registry,
    name: str,
    settings: Settings,
    folder: Path,
    run_id: str,
    tags: dict[str, str],
    own: OwnCandidates,
) -> tuple[str, str]:
    rows = making.labelled_rows(name, settings, folder)
    question = _question(name, TASKS[name].metric, settings, folder, rows.digest, tags)
    try:
        trained = making.train(name, rows, settings, own)
    except satisfaction.TooFewLabels as few:
        raise RunFailed(f"{name}: {few}") from few
    digest = question.model_digest(trained.chances)
    gain = trained.gain_over(trained.baseline, settings.random_seed)
    told = f"Repeats run {run_id}."
    with registry.run(name, f"{name} again", _run_tags(question, run_id), told) as run:
        mlflow.set_tag("model_digest", digest)
        log_satisfaction(registry, trained, gain, REPETITION, question, settings, folder)
        making.log_chances(registry, trained, settings)
    return digest, str(run.info.run_id)


def _segments(
    registry: Registry,
    settings: Settings,
    folder: Path,
    run_id: str,
    tags: dict[str, str],
) -> tuple[str, str]:
    customers, _, data_digest = making.buyers(folder)
    question = _question(SEGMENTS, "silhouette", settings, folder, data_digest, tags)
    try:
        found = segmentation.segment_customers(customers, settings.random_seed)
    except segmentation.TooFewCustomers as few:
        raise RunFailed(f"{SEGMENTS}: {few}") from few
    ids, away = segmentation.assign(found.pipeline, found.sample)
    digest = question.model_digest(np.column_stack([ids, away]))
    bar = found.baseline_silhouettes
    against: Any = np.zeros(len(found.sample)) if bar is None else bar
    gain = mean_gain(found.sample_silhouettes, against, settings.random_seed)
    told = f"Repeats run {run_id}."
    with registry.run(SEGMENTS, f"{SEGMENTS} again", _run_tags(question, run_id), told) as run:
        mlflow.set_tag("model_digest", digest)
        log_segments(registry, found, gain, REPETITION, question, settings, folder)
        making.log_segmentation(registry, found, ids)
    return digest, str(run.info.run_id)
