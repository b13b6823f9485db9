"""Train the models: learn, log, register, let the gate decide, write the decision down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from threadpoolctl import threadpool_limits

from carelake.errors import RunFailed
from carelake.settings import Home, Settings
from ml import card, making, satisfaction, segmentation
from ml import features as data
from ml.deep import Absent
from ml.evaluation import Gain, mean_gain
from ml.gate import Question, Rival, judge
from ml.kept import keep_features
from ml.overruling import put_aside
from ml.own import OwnCandidates
from ml.reference import FILE as REFERENCE_FILE
from ml.reference import reference_of
from ml.registry import (
    Champion,
    Registry,
    UntrustedModel,
    code_version,
    config_digest,
    decision_id,
    latest_decision,
    origin,
)
from ml.results import (
    MODELS,
    SEGMENTS,
    Decision,
    TrainResult,
    Verdict,
    read_decisions,
)
from ml.runs import label_tags, log_satisfaction, log_segments, satisfaction_note, segments_note
from ml.segmentation import Segments
from ml.tasks import TASKS, Task, Told, spread_out

Array = np.ndarray[Any, np.dtype[Any]]
Report = Callable[[str], None]


def train_all(
    home: Home,
    settings: Settings,
    folder: Path,
    *,
    force: bool,
    held: dict[str, str],
    own: OwnCandidates,
    report: Report,
) -> TrainResult:
    """See `ml.train`."""
    if held and not force:
        return _refuse_held(home, settings, folder, held, code_version(own.digest), report)
    registry = Registry(home)
    registry.close_abandoned()
    if not force:
        _refuse_lost_champions(home, registry)
    job = _Job(home, settings, folder, registry, own, force, report)
    # One thread: sums in another order would give other last digits, and another model digest.
    with threadpool_limits(limits=1):
        outcomes = [
            *(_train_classes(job, task) for task in TASKS.values()),
            _train_segments(job),
        ]
    return TrainResult([decision for decision, _ in outcomes], any(new for _, new in outcomes))


@dataclass(frozen=True)
class _Job:
    """What every model of one training shares."""

    home: Home
    settings: Settings
    folder: Path
    registry: Registry
    own: OwnCandidates
    force: bool
    report: Report

    def question(
        self, name: str, metric: str, digest: str, code: str
    ) -> tuple[Question, Decision | None]:
        return _question(self.home, self.settings, self.folder, name, metric, digest, code)


def _train_classes(job: _Job, task: Task) -> tuple[Decision, bool]:
    home, settings, folder, registry = job.home, job.settings, job.folder, job.registry
    name = task.name
    rows = making.labelled_rows(name, settings, folder)
    code = making.code_of(task, job.own)
    question, earlier = job.question(name, task.metric, rows.digest, code)
    if earlier is not None and not job.force:
        job.report(f"{name}: decided before ({earlier.decision}: {earlier.reason})")
        return earlier, False
    try:
        trained = making.train(name, rows, settings, job.own)
    except satisfaction.TooFewLabels as few:
        refused = question.decide("refused", str(few), n_train=rows.n)
        return _finish(home, refused, job.report)
    for fault in trained.learned.faults:
        job.report(f"{name}: {fault}")
    digest = question.model_digest(trained.chances)
    rival = _classes_rival(registry, trained, digest, settings.random_seed)
    gain = trained.gain_over(trained.baseline, settings.random_seed)
    verdict, reason = _judge(
        home, registry, question, task.title, trained.metrics[task.metric], gain, rival, digest
    )
    note = satisfaction_note(name, trained, verdict, reason)
    with registry.run(
        name,
        f"{name} {question.data_digest[:8]}",
        {
            **question.tags,
            **origin(settings, making.extra_of(name)),
            "split": trained.split.kind,
            "decision": verdict,
            **label_tags(trained),
        },
        note,
    ) as run:
        keep_features(home, folder)
        log_satisfaction(registry, trained, gain, rival, question, settings, folder)
        mlflow.log_text(
            card.satisfaction_card(
                trained, question, rival, verdict, reason, settings, run.info.run_id
            ),
            card.FILE,
        )
        reference = reference_of(name, trained, rows.labelled.keys, folder)
        if reference is not None:
            mlflow.log_text(reference.text(), REFERENCE_FILE)
        until = trained.trained_until
        version = _register(
            registry,
            question,
            digest,
            run.info.run_id,
            verdict,
            note,
            lambda: making.log_chances(registry, trained, settings),
            {**label_tags(trained), **({"trained_until": until} if until else {})},
        )
    decision = question.decide(
        verdict,
        reason,
        version=version,
        run_id=run.info.run_id,
        values=(
            trained.baseline_metrics[task.metric],
            rival.value,
            trained.metrics[task.metric],
        ),
        n_train=trained.n_train,
        n_test=len(trained.labels),
        split=trained.split.words,
        model_digest=digest,
    )
    return _finish(home, decision, job.report)


def _train_segments(job: _Job) -> tuple[Decision, bool]:
    home, settings, folder, registry = job.home, job.settings, job.folder, job.registry
    customers, n_buyers, data_digest = making.buyers(folder)
    question, earlier = job.question(SEGMENTS, "silhouette", data_digest, code_version())
    if earlier is not None and not job.force:
        job.report(f"{SEGMENTS}: decided before ({earlier.decision}: {earlier.reason})")
        return earlier, False
    try:
        found = segmentation.segment_customers(customers, settings.random_seed)
    except segmentation.TooFewCustomers as few:
        return _finish(home, question.decide("refused", str(few), n_train=n_buyers), job.report)
    ids, away = segmentation.assign(found.pipeline, found.sample)
    digest = question.model_digest(np.column_stack([ids, away]))
    rival = _segments_rival(registry, found, digest, settings.random_seed)
    bar = found.baseline_silhouettes
    # Without any age the owner's recipe puts everyone into one group, which has silhouette 0.
    against = np.zeros(len(found.sample)) if bar is None else bar
    gain = mean_gain(found.sample_silhouettes, against, settings.random_seed)
    score = float(found.sample_silhouettes.mean())
    verdict, reason = _judge(home, registry, question, "silhouette", score, gain, rival, digest)
    note = segments_note(found, verdict, reason)
    with registry.run(
        SEGMENTS,
        f"{SEGMENTS} {question.data_digest[:8]}",
        {**question.tags, **origin(settings), "decision": verdict},
        note,
    ) as run:
        keep_features(home, folder)
        log_segments(registry, found, gain, rival, question, settings, folder)
        mlflow.log_text(
            card.segments_card(found, question, rival, verdict, reason, run.info.run_id), card.FILE
        )
        version = _register(
            registry,
            question,
            digest,
            run.info.run_id,
            verdict,
            note,
            lambda: making.log_segmentation(registry, found, ids),
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
        model_digest=digest,
    )
    return _finish(home, decision, job.report)


def _question(
    home: Home, settings: Settings, folder: Path, name: str, metric: str, digest: str, code: str
) -> tuple[Question, Decision | None]:
    config = config_digest(settings)
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


def _refuse_held(
    home: Home,
    settings: Settings,
    folder: Path,
    held: dict[str, str],
    code: str,
    report: Report,
) -> TrainResult:
    """What a gate holds is missing among the features: a model of the rest would be another one.

    The question is about the held batches, so that the same features are asked anew without them.
    """
    first = next(iter(held))
    more = f" and {len(held) - 1} more" if len(held) > 1 else ""
    reason = (
        f"batch {first}{more} is held ({held[first]}): release or discard it (`carelake batch`), "
        "or train without it (`carelake train --force`)"
    )
    digest = hashlib.sha256("\n".join(sorted(held)).encode()).hexdigest()
    taken, news = [], False
    for name in MODELS:
        metric = "silhouette" if name == SEGMENTS else TASKS[name].metric
        question, earlier = _question(home, settings, folder, name, metric, digest, code)
        if earlier is not None:
            report(f"{name}: decided before ({earlier.decision}: {earlier.reason})")
            taken.append(earlier)
            continue
        taken.append(_finish(home, question.decide("refused", reason), report)[0])
        news = True
    return TrainResult(taken, news)


def _judge(
    home: Home,
    registry: Registry,
    question: Question,
    what: str,
    value: float,
    gain: Gain,
    rival: Rival,
    digest: str,
) -> tuple[Verdict, str]:
    """The gate's verdict; what a person put aside, only a person brings back."""
    version = registry.version_of(question.name, digest)
    aside = put_aside(read_decisions(home, question.name))
    if version is not None and version in aside:
        word = aside[version]
        return "rejected", (
            f"{what} {value:.3f}; {word.decided_by} put version {version} aside ({word.reason}): "
            f"`carelake models promote {question.name} {version}` brings it back"
        )
    return judge(what, value, gain, rival, digest)


def _finish(home: Home, decision: Decision, report: Report) -> tuple[Decision, bool]:
    decision.write(home.decisions)
    report(f"{decision.model_name}: {decision.decision} ({decision.reason})")
    return decision, True


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


def _classes_rival(
    registry: Registry, trained: satisfaction.Trained, digest: str, seed: int
) -> Rival:
    champion, rival = _champion(registry, trained.task.name, digest)
    if champion is None:
        return rival
    shaped = data.conform(trained.test_inputs, champion.columns)
    try:
        told = champion.model.predict_proba(shaped)
    except Absent as lacking:
        return Rival(note=f"the champion was not compared: {lacking}")
    chances = spread_out(told, champion.classes, trained.classes)
    weights = spread_out(np.array([champion.model.weights]), champion.classes, trained.classes)[0]
    gain = trained.gain_over(Told(chances, weights), seed)
    return Rival(trained.metrics[trained.task.metric] - gain.difference, gain, "")


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
    log: Callable[[], str],
    more_tags: dict[str, str] | None = None,
) -> int:
    """Register (once per content) and set the alias the verdict calls for."""
    mlflow.set_tag("model_digest", digest)
    version = registry.version_of(question.name, digest)
    if version is None:
        uri = log()
        tags = {**question.tags, **(more_tags or {}), "decision": verdict}
        version = registry.register(question.name, uri, run_id, digest, tags, note)
    mlflow.set_tag("model_version", str(version))
    if verdict == "promoted":
        registry.crown(question.name, version)
    else:
        registry.challenge(question.name, version)
    return version
