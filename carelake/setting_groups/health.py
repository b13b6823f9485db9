"""When a model counts as grown old."""

from __future__ import annotations

from pydantic import Field, model_validator

from carelake.setting_groups.base import Strict


class ModelHealth(Strict):
    """Limits of what is watched of a champion: beyond `warn` it is told, beyond `act` training begins."""

    window_days: int = Field(default=30, ge=1, description="Days of newest conversations looked at")
    shift_warn: float = Field(
        default=0.1, gt=0, description="Population stability index: a slight shift"
    )
    shift_act: float = Field(default=0.25, gt=0, description="... and a marked one")
    auc_drop_act: float = Field(
        default=0.05, ge=0, description="ROC AUC lost since the hold-out, beyond noise"
    )
    gap_warn: float = Field(
        default=0.05, gt=0, description="Mean chance less share satisfied, beyond noise"
    )
    gap_act: float = Field(default=0.1, gt=0, description="... that starts a training")

    @model_validator(mode="after")
    def _in_order(self) -> ModelHealth:
        for what in ("shift", "gap"):
            warn, act = getattr(self, f"{what}_warn"), getattr(self, f"{what}_act")
            if warn > act:
                raise ValueError(f"{what}_warn {warn} is above {what}_act {act}; swap them")
        return self
