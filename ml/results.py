"""What training and scoring hand back; plain data, importable anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from carelake.settings import Home

SATISFACTION = "before_survey"
FROM_COMMENT = "from_comment"
SENTIMENT = "sentiment"
SEGMENTS = "customer_segments"
MODELS = (SATISFACTION, FROM_COMMENT, SENTIMENT, SEGMENTS)
AWAITED = (SATISFACTION, SEGMENTS)
"""Models whose lack of a champion is a reason to train before scoring. Many companies never ask for
comments: those must not train anew with every build. Nor do all have texts whose sentiment is known."""

SATISFIED = ("not satisfied", "satisfied")
SENTIMENTS = ("negative", "neutral", "positive")

Verdict = Literal["promoted", "rejected", "refused", "rolled_back"]
GATE = "gate"
"""Who decided, where no person did."""


@dataclass(frozen=True)
class Decision:
    """One decision of the gate, or of a person; the columns of `ml.model_decisions`.

    `refused` means nothing was trained, `rejected` that a model was trained, registered as
    `challenger` and not promoted, `rolled_back` that a person made a former champion champion again.
    Values are of `metric` on the same hold-out rows, 6 decimals; a person's decision repeats those of
    the version it is about.
    """

    decision_id: str
    decided_at: str
    model_name: str
    model_version: int | None
    run_id: str | None
    decision: Verdict
    reason: str
    metric: str
    baseline_value: float | None
    champion_value: float | None
    challenger_value: float | None
    n_train: int
    n_test: int
    split: str
    data_digest: str
    config_digest: str
    code_version: str
    decided_by: str = GATE
    model_digest: str | None = None

    @property
    def promoted(self) -> bool:
        """Whether this decision made a champion."""
        return self.decision in ("promoted", "rolled_back")

    def write(self, folder: Path) -> Path:
        """Write `<decision_id>.json` in one step, so that a reader never sees half a decision."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.decision_id}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=2), encoding="utf-8")
        partial.replace(path)
        return path

    @classmethod
    def read(cls, path: Path) -> Decision:
        """The decision a file holds."""
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**content)


def read_decisions(home: Home, name: str) -> list[Decision]:
    """Every decision on a model, oldest first."""
    found = [Decision.read(path) for path in home.decisions.glob(f"{name}-*.json")]
    return sorted(found, key=lambda decision: (decision.decided_at, decision.decision_id))


def versions_decided(home: Home, name: str) -> set[int]:
    """Registered versions that some decision tells of."""
    told = (decision.model_version for decision in read_decisions(home, name))
    return {version for version in told if version is not None}


@dataclass(frozen=True)
class TrainResult:
    """Outcome of one training: a decision per model, in the order of `MODELS`.

    `trained` is False when every decision had been taken before and nothing was logged.
    """

    decisions: list[Decision]
    trained: bool = True

    @property
    def promoted(self) -> bool:
        """Whether this very training made a new champion."""
        return self.trained and any(decision.promoted for decision in self.decisions)


@dataclass(frozen=True)
class ScoreResult:
    """Where the scores are. A model without champion has an empty file and a line in `missing`."""

    folder: Path
    satisfaction_scores: Path
    comment_scores: Path
    segment_scores: Path
    n_conversations: int
    n_comments: int
    n_customers: int
    versions: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    reused: bool = False


@dataclass(frozen=True)
class HealthRow:
    """One thing watched of a champion; the columns of `ml.model_health`.

    `state` is ok, warn, act or too_few. `reference` is what the value is held against: the hold-out's
    ROC AUC, no gap, or the index that chance alone gives.
    """

    health_id: str
    as_of: str
    model_name: str
    model_version: int
    measure: str
    part: str
    part_value: str
    value: float | None
    lower_value: float | None
    upper_value: float | None
    reference: float | None
    n: int
    window_start: str
    state: str
