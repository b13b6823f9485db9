"""What a run shows in MLflow: parameters, figures, charts, nested runs, notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from carelake.settings import Settings
from ml import competition, plots, satisfaction, segmentation
from ml import features as data
from ml.evaluation import Gain
from ml.gate import Question, Rival
from ml.registry import Registry
from ml.results import FROM_COMMENT, SATISFACTION
from ml.segmentation import Segments

Array = np.ndarray[Any, np.dtype[Any]]
WHAT = {
    SATISFACTION: "Chance that a customer will call the conversation satisfying, from what is known "
    "at its close.",
    FROM_COMMENT: "Chance that a customer is satisfied, from what the survey's comment says besides what "
    "was known at the conversation's close. Only for conversations with a comment.",
}


def signature(columns: dict[str, str], output: Array) -> ModelSignature:
    """All inputs optional: a missing value is imputed inside the model."""
    inputs = Schema(
        [
            ColSpec(DataType.double if kind == "number" else DataType.string, name, required=False)
            for name, kind in columns.items()
        ]
    )
    return ModelSignature(inputs, Schema([TensorSpec(output.dtype, (-1, *output.shape[1:]))]))


def log_satisfaction(
    registry: Registry,
    trained: satisfaction.Trained,
    gain: Gain,
    rival: Rival,
    question: Question,
    settings: Settings,
    folder: Path,
) -> None:
    """Log a satisfaction model: parameters, figures, baseline and candidate runs, charts."""
    mlflow.log_params(
        {
            "chosen": trained.chosen.name,
            **trained.chosen.params,
            "split": trained.split.kind,
            "seed": settings.random_seed,
            "time_budget_seconds": settings.ml.time_budget_seconds,
            "calibration_slope": round(trained.model.slope, 4),
            "calibration_shift": round(trained.model.shifts[1] - trained.model.shifts[0], 4),
            "validation": trained.learned.how,
            "rule": competition.RULE,
            "threshold": round(trained.threshold, 4),
            "has_text": trained.spec.has_text,
            "categories": ", ".join(trained.spec.categories),
            "numbers": ", ".join(trained.spec.numbers),
            "n_train": trained.n_train,
        }
    )
    names = {} if trained.names_add is None else {"names_would_add_roc_auc": trained.names_add}
    mlflow.log_metrics({**trained.metrics, **_gain_metrics(gain, rival), **names})
    registry.child(
        "baseline: the owner's recipe",
        {
            "recipe": "label-encoded text and channel, logistic regression",
            "split": trained.split.kind,
        },
        trained.baseline_metrics,
        {"baseline": "true", "split": trained.split.kind},
    )
    for candidate in trained.candidates:
        registry.child(
            f"candidate: {candidate.name}",
            candidate.params,
            {
                **{f"validation_{name}": value for name, value in candidate.metrics.items()},
                "seconds": candidate.seconds,
            },
            {"candidate": "true", "chosen": str(candidate is trained.chosen).lower()},
        )
    title = f"{question.name} on {len(trained.labels):,} held-out rows ({trained.split.kind})"
    mlflow.log_figure(
        plots.hold_out(
            trained.labels, trained.chances, trained.baseline_chances, trained.threshold, title
        ),
        "plots/hold_out.png",
    )
    tried = [candidate.name for candidate in trained.candidates]
    values = [candidate.metrics["roc_auc"] for candidate in trained.candidates]
    mlflow.log_figure(plots.candidates(tried, values, trained.chosen.name), "plots/candidates.png")
    rows = trained.n_train + len(trained.labels)
    path = folder / data.CONVERSATIONS
    _log_dataset(registry, "labelled conversations", question.data_digest, path, rows)


def log_segments(
    registry: Registry,
    found: Segments,
    gain: Gain,
    rival: Rival,
    question: Question,
    settings: Settings,
    folder: Path,
) -> None:
    """Log a segmentation: parameters, silhouettes by k, baseline run, charts, profile."""
    mlflow.log_params(
        {
            "k": found.k,
            "k_rule": segmentation.K_RULE,
            "name_rule": segmentation.NAME_RULE,
            "inputs": ", ".join(segmentation.INPUTS),
            "scaling": "median imputation, arcsinh, standard deviation",
            "seed": settings.random_seed,
            "n_init": 10,
        }
    )
    mlflow.log_metrics(
        {
            "silhouette": float(found.sample_silhouettes.mean()),
            "n": float(found.n),
            **_gain_metrics(gain, rival),
        }
    )
    for k, value in found.silhouettes.items():
        mlflow.log_metric("silhouette_by_k", value, step=k)
        mlflow.log_metric("inertia_by_k", found.inertias[k], step=k)
    bar = found.baseline_silhouettes
    registry.child(
        "baseline: the owner's recipe",
        {"recipe": "k-means with k=3 on age and gender", "ages_known": bar is not None},
        {} if bar is None else {"silhouette": float(bar.mean()), "n": float(len(bar))},
        {"baseline": "true"},
    )
    mlflow.log_figure(
        plots.silhouette_by_k(found.silhouettes, found.inertias, found.k),
        "plots/silhouette_by_k.png",
    )
    mlflow.log_figure(
        plots.segment_profile(found.profile, found.names, found.sizes), "plots/segments.png"
    )
    table = found.profile.assign(segment_name=found.names, n_customers=found.sizes)
    table.insert(0, "segment_id", range(1, found.k + 1))
    path = folder / data.CUSTOMERS
    _log_dataset(registry, "customers with orders", question.data_digest, path, found.n)
    mlflow.log_dict(json.loads(table.round(4).to_json(orient="records")), "segments.json")


def _gain_metrics(gain: Gain, rival: Rival) -> dict[str, float]:
    metrics = {"gain_over_baseline": gain.difference, "gain_over_baseline_lower": gain.lower}
    if rival.gain is not None:
        metrics |= {
            "gain_over_champion": rival.gain.difference,
            "gain_over_champion_lower": rival.gain.lower,
        }
    return metrics


def _log_dataset(registry: Registry, name: str, digest: str, path: Path, rows: int) -> None:
    """Name the rows a model learned from; the entity is written as such, without reading them."""
    dataset = Dataset(
        name=name,
        digest=digest[:32],
        source_type="local",
        source=json.dumps({"uri": path.resolve().as_uri()}),
        profile=json.dumps({"num_rows": rows}),
    )
    context = InputTag("mlflow.data.context", "training")
    active = mlflow.active_run()
    if active is not None:
        registry.client.log_inputs(active.info.run_id, [DatasetInput(dataset, [context])])


def satisfaction_note(name: str, trained: satisfaction.Trained, verdict: str, reason: str) -> str:
    """The description of run and version."""
    added = trained.names_add
    lines = [
        f"**{verdict}**: {reason}",
        "",
        WHAT[name],
        f"Split: {trained.split.words}. "
        f"Trained on {trained.n_train:,} rows, judged on {len(trained.labels):,}.",
        f"Chosen: {trained.chosen.name}; {competition.RULE} ({trained.learned.how}).",
        "Names of agents and managers are no inputs"
        + ("." if added is None else f"; they would add {added:+.3f} ROC AUC."),
        *trained.notes,
    ]
    return "\n".join(lines)


def segments_note(found: Segments, verdict: str, reason: str) -> str:
    """The description of run and version."""
    listed = ", ".join(
        f"{place + 1} {name} ({size:,})"
        for place, (name, size) in enumerate(zip(found.names, found.sizes, strict=True))
    )
    return "\n".join(
        [
            f"**{verdict}**: {reason}",
            "",
            f"Segments of customers with orders: {listed}.",
            "`predict` gives the segment id less one.",
            f"k: {segmentation.K_RULE}.",
            f"Names: {segmentation.NAME_RULE}",
            "Satisfaction, age and gender are no inputs.",
        ]
    )
