"""Faults as people make them in SQL: a wrong join, a lost filter, a border off by one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One change of one file of the dbt project.

    Attributes:
        file: below `dbt_project/`.
        sound: text that stands there once.
        broken: what takes its place.
        words: what is wrong then.
    """

    file: str
    sound: str
    broken: str
    words: str


FAULTS = (
    Fault(
        "models/intermediate/int_conversation_metrics.sql",
        "as hours on moments.at_ms >= hours.opens_ms",
        "as hours on moments.at_ms >= hours.closes_ms",
        "business time counts from the end of an interval, not from its beginning",
    ),
    Fault(
        "models/intermediate/int_business_time.sql",
        "    anti join {{ source('ops', 'holidays') }} as holidays on days.day = holidays.day\n",
        "",
        "holidays are lost",
    ),
    Fault(
        "models/intermediate/int_point_groups.sql",
        "    where not is_shared\n",
        "",
        "shared numbers join people",
    ),
    Fault(
        "models/intermediate/int_conversations.sql",
        "sent_at > first_closed_at + {{ goodbye }}",
        "sent_at > first_closed_at",
        "a goodbye reopens a conversation",
    ),
    Fault(
        "models/intermediate/int_obligations.sql",
        "coalesce(united.done_at <= united.due_at, false) as is_met",
        "coalesce(united.done_at < united.due_at, false) as is_met",
        "what is done on the minute counts as late",
    ),
    Fault(
        "macros/index_parts.sql",
        "where orders.customer_key is not null and not orders.is_cancelled and orders.amount is not null",
        "where orders.customer_key is not null and orders.amount is not null",
        "cancelled orders count as value",
    ),
    Fault(
        "models/intermediate/int_needs_in_order.sql",
        "coalesce(openings.next_opened_at > conversations.closed_at + interval 7 day, true)",
        "coalesce(openings.next_opened_at >= conversations.closed_at + interval 7 day, true)",
        "who comes back after seven days to the minute counts as helped",
    ),
    Fault(
        "models/mart_parts/part_channel_days.sql",
        "(occurrences.happened_at at time zone settings.reporting_timezone)::date as day",
        "occurrences.happened_at::date as day",
        "days begin in UTC, not in the reporting zone",
    ),
    Fault(
        "models/marts/agg_need_contacts.sql",
        "where not orders.is_cancelled and orders.ordered_at <= settings.as_of",
        "where orders.ordered_at <= settings.as_of",
        "cancelled orders are divided by",
    ),
    Fault(
        "models/intermediate/int_survey_responses.sql",
        "            responses.source_name = same_source.source_name\n"
        "            and responses.asked_conversation_id = same_source.conversation_id",
        "            responses.asked_conversation_id = same_source.conversation_id",
        "an answer joins conversations of other sources that have the same id",
    ),
    Fault(
        "models/intermediate/int_next_openings.sql",
        "partition by conversations.customer_hash, category, is_inbound order by opened_at, conversation_key",
        "partition by conversations.customer_hash, is_inbound order by opened_at, conversation_key",
        "whoever asks about something else was not helped the first time",
    ),
    Fault(
        "models/intermediate/int_matter_links.sql",
        "        and coalesce(ours.customer_key = theirs.customer_key, true)\n",
        "",
        "a case number that another customer names joins the two",
    ),
    Fault(
        "models/marts/customer_history.sql",
        "then least(updated_at, extracted_at)",
        "then extracted_at",
        "a record that comes late counts from the day it came",
    ),
)
