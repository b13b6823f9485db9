"""Kinds `asterisk_cdr` and `freeswitch_cdr`: whose numbers are ours, and what the columns are."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from carelake.setting_groups.base import Strict
from carelake.source_kinds.patterns import checked_pattern


class CallSettings(Strict):
    """Call records of a telephone system."""

    extensions: str = Field(
        default=r"\d{2,5}",
        description="Pattern that our extensions match as a whole, and no customer's number does",
    )
    layout: list[str] | None = Field(
        default=None,
        min_length=3,
        description="Names of the columns, in the telephone system's words; found by looking if unset",
    )

    @field_validator("extensions")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        return checked_pattern(value, r"[2-6]\d{3}")

    @field_validator("layout")
    @classmethod
    def _named_once(cls, value: list[str] | None) -> list[str] | None:
        for name in value or []:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(
                    f"'{name[:20]}' is no column of a call record; write one as in uniqueid"
                )
            if (value or []).count(name) > 1:
                raise ValueError(f"{name} stands twice; name the second one otherwise")
        return value
