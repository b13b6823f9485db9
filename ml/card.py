"""The model card: one page per version for whoever must decide whether to rely on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from carelake.settings import Settings
from ml import competition, segmentation
from ml.evaluation import Array
from ml.gate import Question, Rival
from ml.resampling import intervals
from ml.results import FROM_COMMENT, SATISFACTION, SATISFIED, SEGMENTS, SENTIMENT, Verdict
from ml.satisfaction import Trained
from ml.segmentation import Segments
from ml.terms import NAMES

LEAST_ROWS = 30
"""Groups with fewer hold-out rows are listed without figures: those would be noise."""
FILE = "model_card.md"
WHAT = {
    SATISFACTION: "Chance that a customer will call the conversation satisfying, from what is known "
    "at its close.",
    FROM_COMMENT: "Chance that a customer is satisfied, from what the survey's comment says besides what "
    "was known at the conversation's close. Only for conversations with a comment.",
    SENTIMENT: "How a customer's message sounds: negative, neutral or positive, in Chinese or English.",
    SEGMENTS: "Which kind of customer, by orders, recency and contact.",
}
TITLES = {
    "roc_auc": "ROC AUC",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "brier": "Brier score (less is better)",
    "log_loss": "log loss (less is better)",
}
LIMITS = {
    SATISFACTION: (
        "Learned from customers who answered a survey; those who never answer may feel otherwise.",
        "A chance orders a queue. It judges no agent: names are no inputs, but what an agent was given is.",
        "What the business has not seen yet (a new channel, another survey) it does not know; "
        "`model_health` tells when the rows have moved away.",
    ),
    FROM_COMMENT: (
        "Says nothing of conversations without a comment, and who writes one is not like the others.",
        "A comment is known only with the answer: never to be used as a forecast.",
    ),
    SENTIMENT: (
        "Learned where labels are survey remarks: what people write after the matter, and not the messages "
        "themselves. A message that complains politely, or asks a plain question, may be told wrong.",
        "Says how a text sounds, not how satisfied its writer will be, nor how good the answer was.",
        "Irony, and words that no labelled text had, it does not understand.",
    ),
    SEGMENTS: (
        "Groups are found, not given: their borders are where k-means draws them.",
        "A customer near a border may change its segment with the next training; `distance` tells.",
    ),
}


def satisfaction_card(
    trained: Trained,
    question: Question,
    rival: Rival,
    verdict: Verdict,
    reason: str,
    settings: Settings,
    run_id: str,
) -> str:
    """The card of a model of classes, in Markdown."""
    answers = trained.told.answers
    measured = intervals(trained.labels, trained.chances, answers, settings.random_seed)
    spec = trained.spec
    held = np.bincount(trained.labels, minlength=len(trained.classes))
    return _page(
        question.name,
        run_id,
        verdict,
        reason,
        {
            "Data": [
                _table(
                    ["", "from", "until", "rows", *trained.classes],
                    [
                        [
                            "trained on",
                            _day(trained.trained_from),
                            _day(trained.trained_until),
                            f"{trained.n_train:,}",
                            *(f"{count:,}" for count in trained.train_counts),
                        ],
                        [
                            "judged on",
                            _day(trained.held_from),
                            _day(trained.held_until),
                            f"{len(trained.labels):,}",
                            *(f"{count:,}" for count in held),
                        ],
                    ],
                ),
                f"{_meaning(question.name, settings)} "
                f"Split: {trained.split.words}. Data digest `{question.data_digest}`.",
                *trained.notes,
            ],
            "Measures on the hold-out": [
                _table(
                    ["measure", "value", "95 % interval", "owner's recipe"],
                    [
                        [
                            TITLES[key],
                            f"{value:.3f}",
                            f"{low:.3f} to {high:.3f}",
                            f"{trained.baseline_metrics[key]:.3f}",
                        ]
                        for key, (value, low, high) in measured.items()
                    ],
                ),
                _rival_words(rival),
            ],
            "By channel and language": [_groups(trained, answers, settings.random_seed)],
            "Calibration": [
                calibration_words(trained),
                "![Calibration](plots/calibration.png)",
            ],
            "Inputs": [
                _list(
                    [
                        f"text: {'yes' if spec.has_text else 'no'}",
                        "categories: " + (_named(spec.categories) or "none"),
                        "numbers: " + (_named(spec.numbers) or "none"),
                    ]
                ),
                _left_out(question.name, trained.names_add),
            ],
            "Why this candidate": [
                f"`{trained.chosen.name}`: {competition.RULE} ({trained.learned.how}).",
                _table(
                    ["candidate", "log loss", trained.task.title],
                    [
                        [
                            f"**{each.name}**" if each is trained.chosen else each.name,
                            f"{each.losses.mean():.4f}",
                            f"{each.metrics[trained.task.metric]:.3f}",
                        ]
                        for each in sorted(
                            trained.candidates, key=lambda each: float(each.losses.mean())
                        )
                    ],
                ),
            ],
        },
    )


def segments_card(
    found: Segments, question: Question, rival: Rival, verdict: Verdict, reason: str, run_id: str
) -> str:
    """The card of a segmentation, in Markdown."""
    sizes = zip(found.names, found.sizes, strict=True)
    return _page(
        SEGMENTS,
        run_id,
        verdict,
        reason,
        {
            "Data": [
                f"{found.n:,} customers with orders; {len(found.sample):,} of them measured. No "
                f"hold-out: groups have no right answer. Data digest `{question.data_digest}`."
            ],
            "Measures": [
                _table(
                    ["k", "mean silhouette"],
                    [
                        [f"**{k}**" if k == found.k else str(k), f"{value:.3f}"]
                        for k, value in found.silhouettes.items()
                    ],
                ),
                _rival_words(rival),
            ],
            "Segments": [
                _table(
                    ["segment", "customers"],
                    [
                        [f"{place} {name}", f"{size:,}"]
                        for place, (name, size) in enumerate(sizes, 1)
                    ],
                ),
                f"Names: {segmentation.NAME_RULE}",
            ],
            "Inputs": [
                _named(segmentation.INPUTS) + ". Left out on purpose: satisfaction, age and gender."
            ],
            "Why this many": [segmentation.K_RULE + "."],
        },
    )


def _page(
    name: str, run_id: str, verdict: Verdict, reason: str, parts: dict[str, Sequence[str]]
) -> str:
    lines = [f"# {name}", "", WHAT[name], "", f"**{verdict}**: {reason}"]
    after = {
        "Limits": [_list(LIMITS[name])],
        "How to repeat it": [
            f"`carelake train --from-run {run_id}` trains it again from the feature files kept for this "
            "run, and says whether the same model comes out."
        ],
    }
    for title, paragraphs in {**parts, **after}.items():
        lines += ["", f"## {title}"]
        for paragraph in filter(None, paragraphs):
            lines += ["", paragraph]
    return "\n".join(lines) + "\n"


def _meaning(name: str, settings: Settings) -> str:
    if name == SENTIMENT:
        return (
            "A label is what a message's source says of it, or the score beside a survey remark (csat 1-2 and nps "
            "0-6 negative, csat 4-5 and nps 9-10 positive, between them neutral)."
        )
    return f"Satisfied means a survey of at least {settings.ml.satisfied_at} on 0..1."


def _left_out(name: str, names: float | None) -> str:
    if name == SENTIMENT:
        return "Left out on purpose: everything but the text; a message says what it says on any channel."
    more = " (none are known here)." if names is None else f". They would add {names:+.3f} ROC AUC."
    return "Left out on purpose: names of agents and managers" + more


def calibration_words(trained: Trained) -> str:
    """How far chances hold, and from which on the answer is which."""
    size = len(trained.classes)
    shown = [1] if size == 2 else range(size)
    means = "; ".join(
        f"{trained.classes[place]}: mean chance {trained.chances[:, place].mean():.3f}, share "
        f"{(trained.labels == place).mean():.3f}"
        for place in shown
    )
    rule = (
        f"the answer is {trained.classes[1]} from a chance of {trained.threshold:.3f} on."
        if size == 2
        else "the answer is the class whose chance is largest after weights "
        + ", ".join(f"{weight:.2f}" for weight in trained.model.weights)
        + (
            ", which balance the classes."
            if trained.is_balanced
            else ", chosen there for macro-F1."
        )
    )
    if trained.costs is not None:
        found = trained.metrics
        rule += (
            f" It is the cheaper one where a missed dissatisfied customer costs {trained.costs.missed:g} and a "
            f"needless call {trained.costs.needless:g} (ml.costs): {found['mean_cost']:.3f} per row here, "
            f"{found['mean_cost_all_satisfied']:.3f} with everybody taken for satisfied, "
            f"{found['mean_cost_none_satisfied']:.3f} with nobody."
        )
    slope = trained.model.slope
    return f"{means}. Corrected by slope {slope:.3f} on rows the candidates had not seen; {rule}"


def _groups(trained: Trained, answers: Array, seed: int) -> str:
    rows = []
    for column in ("channel", "language"):
        if column not in trained.groups:
            continue
        values: pd.Series[Any] = trained.groups[column].fillna("(unknown)")
        for value in sorted(values.unique()):
            chosen = (values == value).to_numpy()
            rows.append([column, str(value), *_group(trained, answers, chosen, seed)])
    shown = trained.classes[_shown(trained)]
    heads = ["rows", shown, "mean chance", trained.task.title, "95 % interval"]
    return _table(["", "", *heads], rows)


def _shown(trained: Trained) -> int:
    """The class whose share is told: satisfied, or negative."""
    return 1 if trained.classes == SATISFIED else 0


def _group(trained: Trained, answers: Array, chosen: Array, seed: int) -> list[str]:
    labels, chances = trained.labels[chosen], trained.chances[chosen]
    if len(labels) < LEAST_ROWS or len(np.unique(labels)) < 2:
        return [f"{len(labels):,}", "", "", "too few", ""]
    value, low, high = intervals(labels, chances, answers[chosen], seed)[trained.task.metric]
    place = _shown(trained)
    shares = [f"{(labels == place).mean():.2f}", f"{chances[:, place].mean():.2f}"]
    return [f"{len(labels):,}", *shares, f"{value:.3f}", f"{low:.3f} to {high:.3f}"]


def _rival_words(rival: Rival) -> str:
    if rival.gain is None or rival.value is None:
        return "" if len(rival.note) == 64 else rival.note[:1].upper() + rival.note[1:] + "."
    return (
        f"The champion had {rival.value:.3f} on the same rows: {rival.gain.difference:+.3f}, "
        f"95 % sure of {rival.gain.lower:+.3f}."
    )


def _named(columns: Iterable[str]) -> str:
    return ", ".join(NAMES.get(name, name) for name in columns)


def _day(moment: str | None) -> str:
    return "" if moment is None else moment[:16].replace("T", " ")


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in row)} |" for row in cells)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
