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
from ml import card, competition, plots, satisfaction, segmentation
from ml import features as data
from ml.evaluation import Gain
from ml.gate import Question, Rival
from ml.registry import Registry
from ml.results import SENTIMENT
from ml.segmentation import Segments
from ml.terms import NAMES

Array = np.ndarray[Any, np.dtype[Any]]


def signature(columns: dict[str, str], output: Array, *, is_strict: bool = False) -> ModelSignature:
    """Which columns a model takes and what it gives; a missing value is imputed inside the model.

    Args:
        is_strict: whether every column must be there, be it without a value.
    """
    inputs = Schema(
        [
            ColSpec(
                DataType.double if kind == "number" else DataType.string, name, required=is_strict
            )
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
    """Log a model of classes: parameters, figures, baseline and candidate runs, charts."""
    mlflow.log_params(
        {
            "classes": ", ".join(trained.classes),
            "chosen": trained.chosen.name,
            **trained.chosen.params,
            "split": trained.split.kind,
            "seed": settings.random_seed,
            "time_budget_seconds": settings.ml.time_budget_seconds,
            "calibration_slope": round(trained.model.slope, 4),
            **_shifts(trained),
            "validation": trained.learned.how,
            "rule": competition.RULE,
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
    shown = plots.HoldOut(
        trained.classes,
        trained.labels,
        trained.chances,
        trained.baseline_chances,
        np.asarray(trained.model.weights),
    )
    mlflow.log_figure(plots.hold_out(shown, title), "plots/hold_out.png")
    pages = plots.single(shown)
    for name, figure in pages.items():
        mlflow.log_figure(figure, f"plots/{name}.png")
    _log_learning(trained)
    tried = [candidate.name for candidate in trained.candidates]
    values = [candidate.metrics["roc_auc"] for candidate in trained.candidates]
    mlflow.log_figure(plots.candidates(tried, values, trained.chosen.name), "plots/candidates.png")
    is_sentiment = question.name == SENTIMENT
    path = folder / (data.SENTIMENT_TEXTS if is_sentiment else data.CONVERSATIONS)
    what = "texts with a known sentiment" if is_sentiment else "labelled conversations"
    for name, context, rows in (
        (what, "training", trained.n_train),
        (f"{what}, held out", "evaluation", len(trained.labels)),
    ):
        _log_dataset(registry, name, context, question.data_digest, path, rows)


def _shifts(trained: satisfaction.Trained) -> dict[str, float]:
    """What answers and calibration hang on besides the slope."""
    model = trained.model
    if len(trained.classes) == 2:
        shift = round(model.shifts[1] - model.shifts[0], 4)
        return {"calibration_shift": shift, "threshold": round(trained.threshold, 4)}
    found: dict[str, float] = {}
    for name, shift, weight in zip(trained.classes, model.shifts, model.weights, strict=True):
        found |= {f"calibration_shift_{name}": round(shift, 4), f"weight_{name}": round(weight, 4)}
    return found


def label_tags(trained: satisfaction.Trained) -> dict[str, str]:
    """Where there are two sorts of labels: how many held-out rows have which, and what was judged on."""
    counts = {key: value for key, value in trained.metrics.items() if key.startswith("n_")}
    if not counts:
        return {}
    judged = float(len(trained.labels))
    on = [key.removeprefix("n_") for key, value in counts.items() if value == judged]
    held = ", ".join(f"{key.removeprefix('n_')} {int(value)}" for key, value in counts.items())
    return {"labels_held_out": held, "judged_on": on[0] if on else "all labels"}


def _log_learning(trained: satisfaction.Trained) -> None:
    """What more rows would bring, and which inputs count: as curves and charts."""
    for point in trained.learning:
        mlflow.log_metric("learning_roc_auc_learned", point.learned, step=point.n)
        mlflow.log_metric("learning_roc_auc_later", point.unseen, step=point.n)
    if trained.learning:
        sizes = [point.n for point in trained.learning]
        learned = [point.learned for point in trained.learning]
        unseen = [point.unseen for point in trained.learning]
        mlflow.log_figure(plots.learning(sizes, learned, unseen), "plots/learning.png")
    if trained.importances:
        names = [
            NAMES.get(name, name.removeprefix(data.ATTRIBUTE_PREFIX))
            for name in trained.importances
        ]
        figure = plots.importance(names, list(trained.importances.values()))
        mlflow.log_figure(figure, "plots/importance.png")
        mlflow.log_dict(trained.importances, "importance.json")


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
    _log_dataset(registry, "customers with orders", "training", question.data_digest, path, found.n)
    mlflow.log_dict(json.loads(table.round(4).to_json(orient="records")), "segments.json")


def _gain_metrics(gain: Gain, rival: Rival) -> dict[str, float]:
    metrics = {"gain_over_baseline": gain.difference, "gain_over_baseline_lower": gain.lower}
    if rival.gain is not None:
        metrics |= {
            "gain_over_champion": rival.gain.difference,
            "gain_over_champion_lower": rival.gain.lower,
        }
    return metrics


def _log_dataset(
    registry: Registry, name: str, role: str, digest: str, path: Path, rows: int
) -> None:
    """Name the rows a model learned from; the entity is written as such, without reading them."""
    dataset = Dataset(
        name=name,
        digest=digest[:32],
        source_type="local",
        source=json.dumps({"uri": path.resolve().as_uri()}),
        profile=json.dumps({"num_rows": rows}),
    )
    context = InputTag("mlflow.data.context", role)
    active = mlflow.active_run()
    if active is not None:
        registry.client.log_inputs(active.info.run_id, [DatasetInput(dataset, [context])])


def satisfaction_note(name: str, trained: satisfaction.Trained, verdict: str, reason: str) -> str:
    """The description of run and version."""
    added = trained.names_add
    lines = [
        f"**{verdict}**: {reason}",
        "",
        card.WHAT[name],
        f"Split: {trained.split.words}. "
        f"Trained on {trained.n_train:,} rows, judged on {len(trained.labels):,}.",
        f"Chosen: {trained.chosen.name}; {competition.RULE} ({trained.learned.how}).",
        *_names_note(name, added),
        *trained.notes,
        f"More in `{card.FILE}` of its run.",
    ]
    return "\n".join(lines)


def _names_note(name: str, added: float | None) -> list[str]:
    if name == SENTIMENT:
        return ["It reads the text and nothing else."]
    more = "" if added is None else f"; they would add {added:+.3f} ROC AUC"
    return [f"Names of agents and managers are no inputs{more}."]


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
            f"More in `{card.FILE}` of its run.",
        ]
    )
