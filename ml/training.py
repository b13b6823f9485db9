"""Train the models: learn, log, register, let the gate decide, write the decision down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from threadpoolctl import threadpool_limits

from carelake.errors import RunFailed
from carelake.settings import Home, Settings
from ml import competition, satisfaction, segmentation
from ml import features as data
from ml.evaluation import auc_gain, mean_gain
from ml.gate import Question, Rival, judge
from ml.registry import (
    Champion,
    Registry,
    UntrustedModel,
    code_version,
    config_digest,
    decision_id,
    latest_decision,
)
from ml.results import (
    FROM_COMMENT,
    MODELS,
    SATISFACTION,
    SEGMENTS,
    Decision,
    TrainResult,
    Verdict,
    read_decisions,
)
from ml.runs import log_satisfaction, log_segments, satisfaction_note, segments_note, signature
from ml.segmentation import Segments
from ml.split import time_order

Array = np.ndarray[Any, np.dtype[Any]]
Report = Callable[[str], None]
ROWS = {
    SATISFACTION: "surveyed conversations",
    FROM_COMMENT: "surveyed conversations with a comment",
}


def train_all(
    home: Home, settings: Settings, folder: Path, *, force: bool, report: Report
) -> TrainResult:
    """See `ml.train`."""
    registry = Registry(home)
    registry.close_abandoned()
    if not force:
        _refuse_lost_champions(home, registry)
    # One thread: sums in another order would give other last digits, and another model digest.
    with threadpool_limits(limits=1):
        outcomes = [
            step(home, settings, folder, registry, force, report)
            for step in (_train_before_survey, _train_from_comment, _train_segments)
        ]
    return TrainResult([decision for decision, _ in outcomes], any(new for _, new in outcomes))


def _train_before_survey(
    home: Home, settings: Settings, folder: Path, registry: Registry, force: bool, report: Report
) -> tuple[Decision, bool]:
    return _train_satisfaction(
        SATISFACTION, home, settings, folder, registry, force=force, report=report
    )


def _train_from_comment(
    home: Home, settings: Settings, folder: Path, registry: Registry, force: bool, report: Report
) -> tuple[Decision, bool]:
    return _train_satisfaction(
        FROM_COMMENT, home, settings, folder, registry, force=force, report=report
    )


def _train_satisfaction(
    name: str,
    home: Home,
    settings: Settings,
    folder: Path,
    registry: Registry,
    *,
    force: bool,
    report: Report,
) -> tuple[Decision, bool]:
    frame = data.read_labelled(folder, with_comment=name == FROM_COMMENT)
    frame, dropped = _newest(frame, competition.most_rows(settings.ml.time_budget_seconds))
    inputs = data.conversation_inputs(frame)
    seen = pd.concat(
        [frame[["conversation_key", "label", "occurred_at", "label_at"]], inputs], axis=1
    )
    question, earlier = _question(home, settings, folder, name, "roc_auc", data.frame_digest(seen))
    if earlier is not None and not force:
        report(f"{name}: decided before ({earlier.decision}: {earlier.reason})")
        return earlier, False
    try:
        labels = frame["label"].to_numpy().astype(int)
        satisfaction.check_labels(labels, settings.ml.min_labels, ROWS[name])
        trained = satisfaction.train_satisfaction(
            frame, inputs, settings.random_seed, settings.ml.time_budget_seconds
        )
    except satisfaction.TooFewLabels as few:
        return _finish(home, question.decide("refused", str(few), n_train=len(frame)), report)
    if dropped:
        trained.notes.append(f"the {dropped:,} oldest labelled rows were left out (time budget)")
    digest = question.model_digest(trained.chances)
    rival = _satisfaction_rival(registry, name, trained, digest, settings.random_seed)
    gain = auc_gain(trained.labels, trained.chances, trained.baseline_chances, settings.random_seed)
    verdict, reason = judge("ROC AUC", trained.metrics["roc_auc"], gain, rival, digest)
    note = satisfaction_note(name, trained, verdict, reason)
    with registry.run(
        name,
        f"{name} {question.data_digest[:8]}",
        {**question.tags, "split": trained.split.kind, "decision": verdict},
        note,
    ) as run:
        log_satisfaction(registry, trained, gain, rival, question, settings, folder)
        version = _register(
            registry,
            question,
            digest,
            run.info.run_id,
            verdict,
            note,
            model=trained.model,
            signature=signature(trained.columns, np.zeros((1, 2))),
            example=trained.example,
            metadata={"satisfied_at": settings.ml.satisfied_at, "split": trained.split.words},
            pyfunc_predict_fn="predict_proba",
        )
    decision = question.decide(
        verdict,
        reason,
        version=version,
        run_id=run.info.run_id,
        values=(trained.baseline_metrics["roc_auc"], rival.value, trained.metrics["roc_auc"]),
        n_train=trained.n_train,
        n_test=len(trained.labels),
        split=trained.split.words,
    )
    return _finish(home, decision, report)


def _train_segments(
    home: Home, settings: Settings, folder: Path, registry: Registry, force: bool, report: Report
) -> tuple[Decision, bool]:
    customers = data.read_customers(folder)
    buyers = segmentation.clusterable(customers)
    relevant = buyers[["customer_key", "gender", "age", *segmentation.INPUTS]]
    question, earlier = _question(
        home, settings, folder, SEGMENTS, "silhouette", data.frame_digest(relevant)
    )
    if earlier is not None and not force:
        report(f"{SEGMENTS}: decided before ({earlier.decision}: {earlier.reason})")
        return earlier, False
    try:
        found = segmentation.segment_customers(customers, settings.random_seed)
    except segmentation.TooFewCustomers as few:
        return _finish(home, question.decide("refused", str(few), n_train=len(buyers)), report)
    ids, away = segmentation.assign(found.pipeline, found.sample)
    digest = question.model_digest(np.column_stack([ids, away]))
    rival = _segments_rival(registry, found, digest, settings.random_seed)
    bar = found.baseline_silhouettes
    # Without any age the owner's recipe puts everyone into one group, which has silhouette 0.
    against = np.zeros(len(found.sample)) if bar is None else bar
    gain = mean_gain(found.sample_silhouettes, against, settings.random_seed)
    score = float(found.sample_silhouettes.mean())
    verdict, reason = judge("silhouette", score, gain, rival, digest)
    note = segments_note(found, verdict, reason)
    with registry.run(
        SEGMENTS,
        f"{SEGMENTS} {question.data_digest[:8]}",
        {**question.tags, "decision": verdict},
        note,
    ) as run:
        log_segments(registry, found, gain, rival, question, settings, folder)
        version = _register(
            registry,
            question,
            digest,
            run.info.run_id,
            verdict,
            note,
            model=found.pipeline,
            signature=signature(dict.fromkeys(segmentation.INPUTS, "number"), ids[:1]),
            example=segmentation.model_inputs(found.sample).head(5).reset_index(drop=True),
            metadata={"segment_names": found.names},
        )
    decision = question.decide(
        verdict,
        reason,
        version=version,
        run_id=run.info.run_id,
        values=(None if bar is None else float(bar.mean()), rival.value, score),
        n_train=found.n,
        n_test=len(found.sample),
        split=f"none: silhouette over {len(found.sample):,} customers",
    )
    return _finish(home, decision, report)


def _question(
    home: Home, settings: Settings, folder: Path, name: str, metric: str, digest: str
) -> tuple[Question, Decision | None]:
    config, code = config_digest(settings), code_version()
    earlier, taken = latest_decision(home.decisions, decision_id(name, digest, config, code))
    return Question(name, metric, digest, config, code, folder.name, taken + 1), earlier


def _refuse_lost_champions(home: Home, registry: Registry) -> None:
    """A champion that vanished is not replaced in silence: scores would change for no reason told."""
    lost = [
        name
        for name in MODELS
        if any(decision.promoted for decision in read_decisions(home, name))
        and registry.champion(name) is None
    ]
    if lost:
        raise RunFailed(
            f"MLflow's store {home.mlflow_uri} has lost the champion of {' and '.join(lost)}; put "
            "it back from a backup, or begin anew with `carelake train --force`"
        )


def _finish(home: Home, decision: Decision, report: Report) -> tuple[Decision, bool]:
    decision.write(home.decisions)
    report(f"{decision.model_name}: {decision.decision} ({decision.reason})")
    return decision, True


def _newest(frame: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    if len(frame) <= most:
        return frame, 0
    order = time_order(data.known_times(frame), frame["conversation_key"])
    return frame.iloc[np.sort(order[-most:])].reset_index(drop=True), len(frame) - most


def _champion(registry: Registry, name: str, digest: str) -> tuple[Champion | None, Rival]:
    found: ModelVersion | None = registry.rival(name)
    if found is None:
        return None, Rival()
    if found.tags.get("model_digest") == digest:
        return None, Rival(note=digest)
    try:
        return registry.load(found), Rival()
    except UntrustedModel as broken:
        return None, Rival(note=f"the champion was not compared: {broken}")


def _satisfaction_rival(
    registry: Registry, name: str, trained: satisfaction.Trained, digest: str, seed: int
) -> Rival:
    champion, rival = _champion(registry, name, digest)
    if champion is None:
        return rival
    shaped = data.conform(trained.test_inputs, champion.columns)
    chances = champion.model.predict_proba(shaped)[:, 1]
    gain = auc_gain(trained.labels, trained.chances, chances, seed)
    return Rival(trained.metrics["roc_auc"] - gain.difference, gain, "")


def _segments_rival(registry: Registry, found: Segments, digest: str, seed: int) -> Rival:
    champion, rival = _champion(registry, SEGMENTS, digest)
    if champion is None:
        return rival
    ids, _ = segmentation.assign(champion.model, found.sample)
    values = segmentation.silhouettes_in(found.points, ids)
    return Rival(float(values.mean()), mean_gain(found.sample_silhouettes, values, seed), "")


def _register(
    registry: Registry,
    question: Question,
    digest: str,
    run_id: str,
    verdict: Verdict,
    note: str,
    *,
    model: Any,
    signature: ModelSignature,
    example: pd.DataFrame,
    metadata: dict[str, Any],
    **how: Any,
) -> int:
    """Register (once per content) and set the alias the verdict calls for."""
    mlflow.set_tag("model_digest", digest)
    version = registry.version_of(question.name, digest)
    if version is None:
        uri = registry.log_model(model, signature, example, metadata, **how)
        tags = {**question.tags, "decision": verdict}
        version = registry.register(question.name, uri, run_id, digest, tags, note)
    mlflow.set_tag("model_version", str(version))
    if verdict == "promoted":
        registry.crown(question.name, version)
    else:
        registry.challenge(question.name, version)
    return version
