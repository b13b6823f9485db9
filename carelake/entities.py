"""What a mapped file may hold: the entities, and their columns."""

from __future__ import annotations

from typing import Literal

WHO = ("customer_id", "email", "phone", "handle", "customer_name")
VERSION = ("updated_at", "is_deleted")

ENTITIES: dict[str, tuple[str, ...]] = {
    "communications": (
        "communication_id", "conversation_id", "in_reply_to", "channel", "direction", *WHO,
        "from_address", "to_address", "agent", "sent_at", "subject", "body", "language", "category",
        "status", "duration_seconds", "sentiment", "survey_kind", "survey_score", "survey_remark",
        "is_automatic",
        *VERSION,
    ),
    "conversations": (
        "conversation_id", "channel", "status", "category", "subject", *WHO, "agent", "opened_at",
        "first_reply_at", "closed_at", "order_id", "handle_seconds", "survey_kind", "survey_score",
        "survey_remark", "survey_at", *VERSION,
    ),
    "customers": (
        "customer_id", "customer_name", "email", "phone", "handle", "age", "gender", "city",
        "country", "language", "created_at", "preferred_channel", "do_not_contact", "agent",
        "merged_into", *VERSION,
    ),
    "survey_responses": (
        "survey_id", "survey_kind", "survey_score", "survey_remark", "conversation_id", "order_id",
        *WHO, "responded_at", *VERSION,
    ),
    "orders": ("order_id", *WHO, "ordered_at", "amount", "currency", "status", "store", *VERSION),
    "order_lines": (
        "order_line_id", "order_id", "product_id", "product_name", "category", "quantity",
        "unit_price", *WHO, "country", "ordered_at", "status", *VERSION,
    ),
    "call_legs": (
        "leg_id", "call_id", "linked_leg_id", "conversation_id", "direction", *WHO, "from_address",
        "to_address", "agent", "queue", "status", "started_at", "answered_at", "ended_at",
        "talk_seconds", "hold_seconds", *VERSION,
    ),
    "transcripts": (
        "transcript_id", "call_id", "customer_text", "agent_text", "text", "turns", "language",
        "recorded_at", *VERSION,
    ),
    "events": ("event_id", "event_name", *WHO, "conversation_id", "occurred_at", *VERSION),
    "agents": ("agent_id", "agent_name", "email", "phone", "team", "manager", *VERSION),
    "follow_ups": (
        "follow_up_id", *WHO, "status", "outcome", "channel", "agent", "approved_at", "due_at",
        "completed_at", *VERSION,
    ),
}  # fmt: skip
"""Canonical columns per entity; the first one is its id."""

TIME_COLUMNS = frozenset(
    {
        "sent_at", "opened_at", "first_reply_at", "closed_at", "survey_at", "created_at",
        "responded_at", "ordered_at", "occurred_at", "approved_at", "due_at", "completed_at",
        "updated_at", "started_at", "answered_at", "ended_at", "recorded_at",
    }
)  # fmt: skip

PROMOTABLE = ("communications", "conversations")
"""Entities whose marts carry attributes, so that one can become a column."""

Entity = Literal[
    "communications", "conversations", "customers", "survey_responses", "orders", "order_lines",
    "call_legs", "transcripts", "events", "agents", "follow_ups",
]  # fmt: skip
