"""The gate: what a decision answers, and when a challenger is good enough."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation import Gain
from ml.registry import decision_id, now
from ml.results import Decision, Verdict

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Question:
    """What a decision answers: is a model made of this data, code and configuration better."""

    name: str
    metric: str
    data_digest: str
    config_digest: str
    code: str
    features_digest: str
    attempt: int

    @property
    def tags(self) -> dict[str, str]:
        """The same, as tags of runs and versions."""
        return {
            "data_digest": self.data_digest,
            "config_digest": self.config_digest,
            "code_version": self.code,
            "features_digest": self.features_digest,
        }

    def model_digest(self, predictions: Array) -> str:
        """Digest of what the model is made of and what it says, rounded to six decimals."""
        digest = hashlib.sha256(
            "\n".join((self.name, self.data_digest, self.config_digest, self.code)).encode()
        )
        digest.update(np.round(predictions * 1e6).astype("<i8").tobytes())
        return digest.hexdigest()

    def decide(
        self,
        decision: Verdict,
        reason: str,
        *,
        version: int | None = None,
        run_id: str | None = None,
        values: tuple[float | None, float | None, float | None] = (None, None, None),
        n_train: int = 0,
        n_test: int = 0,
        split: str = "",
        model_digest: str | None = None,
    ) -> Decision:
        """A decision on this question; `values` are baseline, champion, challenger."""
        baseline, champion, challenger = (
            None if each is None else round(each, 6) for each in values
        )
        return Decision(
            decision_id=decision_id(
                self.name, self.data_digest, self.config_digest, self.code, self.attempt
            ),
            decided_at=now(),
            model_name=self.name,
            model_version=version,
            run_id=run_id,
            decision=decision,
            reason=reason,
            metric=self.metric,
            baseline_value=baseline,
            champion_value=champion,
            challenger_value=challenger,
            n_train=n_train,
            n_test=n_test,
            split=split,
            data_digest=self.data_digest,
            config_digest=self.config_digest,
            code_version=self.code,
            model_digest=model_digest,
        )


@dataclass(frozen=True)
class Rival:
    """How the reigning champion does on the same rows; `note` where it could not be compared."""

    value: float | None = None
    gain: Gain | None = None
    note: str = "there was no champion"


def judge(what: str, value: float, gain: Gain, rival: Rival, digest: str) -> tuple[Verdict, str]:
    """Promote only what is better than the owner's recipe and the champion, beyond noise.

    Args:
        what: name of the measure.
        value: the challenger's.
        gain: over the owner's recipe.
        rival: the champion on the same rows.
        digest: of the challenger's content.
    """
    bar = f"{what} {value:.3f}, {_by(gain)} over the owner's recipe"
    if rival.note == digest:
        return "promoted", f"{bar}; the same model is champion already"
    if not gain.is_real:
        return "rejected", f"{bar}: not beyond noise"
    if rival.gain is None:
        return "promoted", f"{bar}; {rival.note}"
    if not rival.gain.is_real:
        return "rejected", f"{bar}, but {_by(rival.gain)} over the champion: not beyond noise"
    return "promoted", f"{bar} and {_by(rival.gain)} over the champion"


def _by(gain: Gain) -> str:
    return f"{gain.difference:+.3f} (95 % sure of {gain.lower:+.3f})"
