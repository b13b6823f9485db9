"""What the hand-made company must come to, worked out by hand from its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

Ask = Callable[[str], list[Any]]

PERSON = """
    select customer_key from intermediate.int_contact_points where kind = '{}' and value = '{}'
"""


def person(rows: Ask, kind: str, value: str) -> str | None:
    """Customer key of a contact point."""
    found = rows(PERSON.format(kind, value))
    assert len(found) == 1, f"{kind} {value}"
    return found[0]


def test_every_record_is_accounted_for(rows: Ask) -> None:
    assert rows("select batch_id from marts.source_runs where not is_balanced") == []
    totals = rows("""
        select
            sum(n_physical),
            sum(n_staged + n_rejected + n_duplicates + n_superseded + n_deleted + n_held)
        from marts.source_runs
    """)[0]
    assert totals[0] == totals[1]


def test_each_kind_of_row_gets_the_disposition_it_deserves(rows: Ask) -> None:
    found = rows("""
        select source_name, disposition, count(*) from (
            from staging.stg_communications__classified select source_name, disposition
            union all
            from staging.stg_customers__classified select source_name, disposition
        ) where source_name in ('calls', 'crm_contacts', 'notes') group by all
    """)
    assert Counter({(s, d): n for s, d, n in found}) == {
        ("calls", "staged"): 4,
        ("calls", "rejected"): 4,
        ("calls", "duplicate"): 1,
        ("calls", "superseded"): 1,
        ("calls", "held"): 1,
        ("crm_contacts", "staged"): 4,
        ("crm_contacts", "rejected"): 2,
        ("crm_contacts", "duplicate"): 1,
        ("crm_contacts", "superseded"): 1,
        ("crm_contacts", "deleted"): 1,
        ("notes", "staged"): 2,
        ("notes", "duplicate"): 1,
        ("notes", "superseded"): 1,
    }


def test_a_reject_says_why_and_keeps_the_row_as_it_came(rows: Ask) -> None:
    assert rows("""
        select reason, channel, sent_at from staging.stg_communications__rejected
        where communication_id = 'k6'
    """) == [
        (
            "sent_at is not a time: 31/02/2024; "
            "channel 'fax' is not one of phone, email, chat, social, in_person; "
            "the row has no content",
            "fax",
            "31/02/2024",
        )
    ]


def test_identifiers_seen_together_are_one_person(rows: Ask) -> None:
    anna = person(rows, "crm", "c1")
    assert anna is not None
    assert {
        person(rows, "email", "anna@example.org"),
        person(rows, "phone", "+8613800138000"),
        person(rows, "handle", "social:anna_k"),
        person(rows, "handle", "chat:visitor-7"),
    } == {anna}
    assert person(rows, "handle", "chat:visitor-8") not in (anna, None)


def test_a_switchboard_joins_nobody_and_its_calls_have_no_customer(rows: Ask) -> None:
    assert person(rows, "phone", "+4930901820") is None
    assert person(rows, "crm", "c3") != person(rows, "crm", "c4")
    assert rows("""
        select facts.customer_key from marts.fct_communications as facts
        inner join intermediate.int_communications as known using (communication_key)
        where known.message_id = 'k2'
    """) == [None]


def test_we_are_nobodys_customer(rows: Ask) -> None:
    values = " ".join(rows("select value from intermediate.int_contact_points"))
    for ours in ("shop.example", "shop_care", "801", "802"):
        assert ours not in values.replace("+4930901820", "")


def test_keys_cannot_be_guessed_without_the_pepper(rows: Ask) -> None:
    assert rows("""
        select count(*) from marts.dim_contact_points as points
        inner join intermediate.int_contact_points as known using (contact_point_key)
        where points.contact_point_key = sha256(known.kind || known.value)
            or points.contact_point_key = sha256(known.value)
            or points.contact_point_key
                <> sha256('a pepper for tests|' || known.kind || '|' || known.value)
    """) == [0]


def test_marts_hold_no_identifier_in_clear(rows: Ask) -> None:
    texts = " ".join(
        str(row)
        for mart in rows(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        )
        for row in rows(f"from marts.{mart}")
    )
    clear = (
        "anna@example",
        "w@example",
        "13800138000",
        "138 0013 8000",
        "6222 0212",
        "Anna Kern",
        "王伟",
        "anna_k",
    )
    assert [value for value in clear if value.lower() in texts.lower()] == []


def test_direction_channel_and_thread_of_mail(rows: Ask) -> None:
    assert rows("""
        select message_id, direction, is_auto_reply, language
        from intermediate.int_communications where source_name = 'inbox' order by message_id
    """) == [
        ("m1@x", "inbound", False, "en"),
        ("m2@x", "outbound", False, "en"),
        ("m3@x", "inbound", False, "zh"),
        ("m4@x", "inbound", False, "en"),
        ("m5@x", "outbound", True, "en"),
    ]
    threads = rows("""
        select list(message_id order by message_id) from intermediate.int_communications
        where source_name = 'inbox' group by conversation_key order by 1
    """)
    assert threads == [["m1@x", "m2@x", "m3@x"], ["m4@x", "m5@x"]]


@pytest.mark.parametrize(
    ("conversation", "state", "reply"),
    [
        ("thread:m1@x", "open", Decimal(120)),  # the customer wrote last, a week after our answer
        ("thread:m4@x", "open", None),  # a machine's answer is none
        ("s1", "open", Decimal(2)),
        ("thread:p1", "resolved_first_time", Decimal(300)),
        ("case-1", "resolved_first_time", Decimal(180)),
        ("thread:k1", "resolved_first_time", Decimal(0)),
        ("thread:k3", "resolved_first_time", None),  # we called
        ("thread:k4", "open", None),  # missed
    ],
)
def test_outcome_and_first_reply(
    rows: Ask, conversation: str, state: str, reply: Decimal | None
) -> None:
    assert rows(f"""
        select outcome_state, first_reply_minutes from intermediate.int_conversations
        where conversation_id = '{conversation}'
    """) == [(state, reply)]


def test_surveys_find_their_conversation(rows: Ask) -> None:
    found = rows("""
        select
            surveys.source_name, surveys.kind, surveys.satisfaction,
            conversations.conversation_id, attached_by
        from marts.fct_survey_responses as surveys
        left join intermediate.int_conversations as conversations using (conversation_key)
        order by all
    """)
    assert found == [
        ("crm_cases", "csat", Decimal(1), "case-1", "same_row"),
        ("surveys", "csat", Decimal("0.25"), "s1", "conversation_id"),
        ("surveys", "csat", Decimal("0.75"), "thread:k1", "conversation_id"),
        ("surveys", "nps", Decimal(0), None, None),
        ("surveys", "nps", Decimal(1), "case-1", "only_recent_conversation"),
    ]


def test_orders_and_orders_made_of_their_lines(rows: Ask) -> None:
    assert rows("""
        select known.order_id, orders.amount, orders.n_lines, orders.is_cancelled
        from marts.fct_orders as orders
        inner join intermediate.int_orders as known using (order_key)
        order by 1
    """) == [
        ("C77", Decimal("-5.00"), 1, True),
        ("b1", Decimal("25.10"), 2, False),
        ("o1", Decimal("1200.50"), 1, False),
        ("o2", Decimal("80.00"), 0, True),
        ("o3", Decimal("99.90"), 0, False),
    ]


def test_a_customer_is_described_by_the_newest_record(rows: Ask) -> None:
    key = person(rows, "crm", "c2")
    assert rows(f"""
        select
            customers.name_masked, age, gender, city, do_not_contact, agents.agent_name,
            n_orders, order_value
        from marts.dim_customers as customers
        left join marts.dim_agents as agents on customers.owner_agent_key = agents.agent_key
        where customer_key = '{key}'
    """) == [("王*", 51, "male", "上海", True, "Tom Ash", 2, Decimal("125.00"))]


def test_the_index_of_anna_by_hand(rows: Ask) -> None:
    """Her surveys, value, and what was owed to her.

    Surveys of the window: case-1 1 (two surveys, both 1), s1 0.25, k1 0.75: mean 2/3.
    States: first time (1 + 0.75 + 10 x 2/3) / 12 = 0.701389,
    open (0.25 + 10 x 2/3) / 11 = 0.628788.
    Her conversations: k1 0.75, s1 0.25, mail 0.628788, case-4 0.628788, social 0.701389.
    Owed and due by 31 May: the call, the mail, the chat (within 3 minutes), case-4 (unanswered),
    the post (5 hours: late), the follow-up f1 (late): three of six.
    """
    key = person(rows, "crm", "c1")
    csf = Decimal("0.591793")
    assert rows(f"""
        select
            csf, cv, tp, cs, n_conversations, n_surveyed, n_obligations_due, n_obligations_met,
            missing_part
        from marts.customer_satisfaction_index where customer_key = '{key}'
    """) == [(csf, Decimal(1), Decimal("0.5"), Decimal("0.295897"), 5, 2, 6, 3, None)]


def test_consent_takes_a_follow_up_off_the_account(rows: Ask) -> None:
    key = person(rows, "crm", "c2")
    assert rows(f"""
        select kind, count(*) from intermediate.int_obligations
        where customer_key = '{key}' group by all
    """) == [("reply", 2)]


def test_the_future_does_not_move_the_day_looked_at(rows: Ask) -> None:
    assert rows("select distinct as_of::varchar from marts.customer_satisfaction_index") == [
        "2024-05-31 16:00:00+00"
    ]


@pytest.mark.parametrize(
    ("conversation", "asked", "ours", "touches", "due", "sla"),
    [
        # two hours, and since the reopening on 27 May 3:00 to as_of (31 May 16:00) 108 + 1 hours; not the week
        ("thread:m1@x", 120 + 109 * 60, 0, 1, "2024-05-21 01:00:00+00", "hit"),
        ("s1", 2 + 13317, 1, 1, "2024-05-22 10:03:00+00", "hit"),
        ("case-1", 180, 21 * 60, 1, "2024-05-04 09:00:00+00", "hit"),
        ("thread:p1", 300, 0, 1, "2024-05-24 13:00:00+00", "breach"),
        ("thread:k1", 0, 0, 1, "2024-05-11 09:00:00+00", "hit"),
        ("thread:k4", 18 * 1440 + 420, 0, 0, "2024-05-14 09:00:00+00", "breach"),  # missed
        ("thread:k3", 0, 0, 1, None, None),  # we called
    ],
)  # fmt: skip
def test_waits_touches_and_promises(
    rows: Ask,
    conversation: str,
    asked: int,
    ours: int,
    touches: int,
    due: str | None,
    sla: str | None,
) -> None:
    assert rows(f"""
        select
            metrics.requester_wait_minutes, metrics.agent_wait_minutes, metrics.n_touches,
            metrics.first_reply_due_at::varchar, metrics.first_reply_sla
        from marts.fct_conversation_metrics as metrics
        join intermediate.int_conversations as known using (conversation_key)
        where known.conversation_id = '{conversation}'
    """) == [(Decimal(asked), Decimal(ours), touches, due, sla)]


def test_days_of_service_add_up_to_the_conversations(rows: Ask) -> None:
    found = rows("""
        select sum(n_conversations), sum(requester_wait_minutes), sum(n_calls_offered), sum(n_first_reply_breach)
        from marts.agg_service_daily
    """)
    assert found == rows("""
        select count(*), sum(requester_wait_minutes), sum(n_calls_offered),
            count(*) filter (where first_reply_sla = 'breach')
        from marts.fct_conversation_metrics where opened_at is not null
    """)
    # the last day's backlog is what is open
    assert rows(
        "select sum(n_open_at_end) from marts.agg_backlog_daily where day = '2024-05-31'"
    ) == rows(
        "select count(*) from marts.fct_conversations where status = 'open' and opened_at is not null"
    )


def test_a_customer_who_moved_lived_elsewhere_until_the_extract_that_tells_so(rows: Ask) -> None:
    wei = person(rows, "crm", "c2")
    assert rows(f"""
        select
            strftime(valid_from, '%m-%d'), strftime(valid_to, '%m-%d'), city, do_not_contact,
            owner_agent_key is not null,
        from marts.customer_history where customer_key = '{wei}' order by valid_from
    """) == [("05-01", "06-02", "北京", False, False), ("06-02", None, "上海", True, True)]
