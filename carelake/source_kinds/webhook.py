"""Kinds `whatsapp` and `chatwoot_webhook`: what may be pushed to us, and when it becomes a batch."""

from __future__ import annotations

from pydantic import Field

from carelake.setting_groups.base import Strict


class WebhookSettings(Strict):
    """A service that pushes what happens, as it happens."""

    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="A longer request is refused (413)"
    )
    max_per_second: int = Field(
        default=5_000, ge=1, description="Requests beyond are told to come again (429)"
    )
    seal_seconds: float = Field(
        default=60, gt=0, description="What came becomes a batch after so long, if anything came"
    )
    seal_requests: int = Field(
        default=50_000, ge=1, description="Or after so many requests, whichever is first"
    )
