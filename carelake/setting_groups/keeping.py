"""How long rows are kept, and how large a home may grow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from carelake.setting_groups.base import Strict

Retained = Literal[
    "communications", "conversations", "survey_responses", "orders", "order_lines", "events",
    "follow_ups",
]  # fmt: skip
"""Entities whose rows tell of a moment; customers and agents have none to grow old by."""
Retention = dict[Retained, Annotated[int, Field(ge=1)]]
RETENTION: Any = Field(
    default={},
    description="Days that rows of an entity are kept, by when what they tell of happened: "
    "{communications: 730}; mails, calls and transcripts count as communications. Without, all",
)


class Keeping(Strict):
    """What `carelake tidy` leaves."""

    pack_after_days: int = Field(
        default=30, ge=0, description="Landed files older than this are packed (.zst)"
    )
    rejected_runs: int = Field(
        default=20, ge=1, description="Training runs kept per model besides its champions'"
    )
    airflow_days: int = Field(
        default=60, ge=1, description="Airflow's runs and logs older than this are removed"
    )
    log_days: int = Field(
        default=30, ge=1, description="Logs of servers, dbt and old check results are removed"
    )
