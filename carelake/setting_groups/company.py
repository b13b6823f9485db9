"""Who the company is, and how its models are trained."""

from __future__ import annotations

from pydantic import Field

from carelake.setting_groups.base import Strict


class OwnIdentities(Strict):
    """What tells inbound from outbound, and keeps agents from becoming customers."""

    domains: list[str] = Field(default=[], description="Our mail domains, as in example.com")
    emails: list[str] = Field(default=[], description="Our mailboxes elsewhere")
    phones: list[str] = Field(default=[], description="Our numbers and extensions")
    handles: list[str] = Field(default=[], description="Our accounts on chat and social media")


class Costs(Strict):
    """What a wrong answer of a satisfaction model costs; only the ratio counts, in any unit."""

    missed: float = Field(gt=0, description="A dissatisfied customer who was taken for satisfied")
    needless: float = Field(gt=0, description="A satisfied one who was taken for dissatisfied")


class ModelSettings(Strict):
    """How models are trained."""

    min_labels: int = Field(default=60, ge=10, description="Fewer labelled rows: no training")
    time_budget_seconds: int = Field(default=20, ge=1, description="Search time per training")
    satisfied_at: float = Field(default=0.75, description="Satisfaction (0-1) that counts as yes")
    costs: Costs | None = Field(
        default=None, description="What sets the threshold of satisfaction models; macro-F1 without"
    )
