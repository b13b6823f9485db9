"""How long a source may be quiet."""

from __future__ import annotations

from pydantic import Field, model_validator

from carelake.setting_groups.base import Duration, Strict, as_time


class Freshness(Strict):
    """How old a source's newest arrival may be. Either limit may be left out."""

    warn: Duration | None = Field(default=None, description="Older than this: a warning, as in 26h")
    block: Duration | None = Field(
        default=None, description="Older than this: its run ends red and readers are told, as in 3d"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Freshness:
        if self.warn is None and self.block is None:
            raise ValueError("has no limit; write warn: 26h, block: 3d, or both")
        if self.warn and self.block and as_time(self.warn) > as_time(self.block):
            raise ValueError(f"warn {self.warn} is longer than block {self.block}; swap them")
        return self
