"""What the marts say of each kind after a run, and after a later one, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.commands import rows


def salesforce_state(env: dict[str, str]) -> dict[str, Any]:
    """The cases with their customers, the deals, and where old customer keys lead."""
    return {
        "cases": rows(
            "select d.city, d.n_contact_points as points, k.n_inbound, k.n_outbound, a.agent_name "
            "from fct_conversations k join dim_customers d using (customer_key) "
            "left join dim_agents a using (agent_key) where k.source_name = 'sf_cases' "
            "order by k.n_inbound desc",
            env,
        ),
        "deals": rows(
            "select amount::varchar as amount, is_cancelled from fct_orders "
            "where source_name = 'sf_opportunities' order by amount",
            env,
        ),
        "redirects": rows(
            "select count(*)::int as n from customer_redirects semi join "
            "(from fct_conversations where source_name = 'sf_cases') using (customer_key)",
            env,
        ),
    }


def zoho_state(env: dict[str, str]) -> dict[str, Any]:
    """The case with its customer, and how many customers each source knows."""
    return {
        "cases": rows(
            "select d.city, k.channel, k.n_inbound, a.agent_name, a.team from fct_conversations k "
            "join dim_customers d using (customer_key) join dim_agents a using (agent_key) "
            "where k.source_name = 'zoho_cases'",
            env,
        ),
        "runs": rows(
            "select sum(n_staged)::int - sum(n_deleted)::int as n from source_runs "
            "where source_name = 'zoho_contacts'",
            env,
        ),
    }


def dynamics_state(env: dict[str, str]) -> dict[str, Any]:
    """The cases with their customers."""
    return {
        "cases": rows(
            "select d.city, k.channel, k.n_inbound, k.n_outbound, k.satisfaction::double as satisfaction, a.team "
            "from fct_conversations k join dim_customers d using (customer_key) "
            "left join dim_agents a using (agent_key) where k.source_name = 'dyn_incidents' "
            "order by k.n_inbound desc",
            env,
        ),
    }


def zendesk_state(env: dict[str, str]) -> dict[str, Any]:
    """Tickets with their customers, agents, messages and surveys; agents are no customers."""
    return {
        "tickets": rows(
            "select k.channel, k.status, k.n_inbound, k.n_outbound, k.satisfaction::double as satisfaction, a.agent_name, "
            "k.first_reply_minutes::double as first_reply_minutes, c.name_masked is not null as has_name "
            "from fct_conversations k join dim_customers c using (customer_key) "
            "left join dim_agents a using (agent_key) where k.source_name = 'support_tickets' "
            "order by k.opened_at",
            env,
        ),
        "writers": rows(
            "select direction, is_auto_reply, agent_key is not null as has_agent, "
            "customer_key is not null as has_customer, count(*)::int as n "
            "from fct_communications where source_name = 'support_comments' group by all order by all",
            env,
        ),
    }


def _conversations(env: dict[str, str], source: str) -> list[dict[str, Any]]:
    """Conversations with their customers, agents, messages and surveys."""
    return rows(
        "select k.channel, k.status, k.n_inbound, k.n_outbound, k.satisfaction::double as satisfaction, a.agent_name, "
        "k.first_reply_minutes::double as first_reply_minutes, c.city from fct_conversations k join dim_customers c using (customer_key) "
        "left join dim_agents a using (agent_key) "
        f"where k.source_name = '{source}' order by k.opened_at",
        env,
    )


def intercom_state(env: dict[str, str]) -> list[dict[str, Any]]:
    """Conversations of the messenger."""
    return _conversations(env, "messenger_conversations")


def twilio_state(env: dict[str, str]) -> list[dict[str, Any]]:
    """Calls, by when they began: who answered, after how long, and how long they talked."""
    return rows(
        "select strftime(m.opened_at, '%H:%M') as began, m.status, m.is_inbound, n_calls_answered::int as n_answered, "
        "round(answer_seconds)::int as wait, m.handle_seconds::int as talk, a.agent_name "
        "from fct_conversation_metrics m join fct_conversations k using (conversation_key) "
        "left join dim_agents a on a.agent_key = m.agent_key "
        "where k.source_name = 'hotline_calls' order by m.opened_at",
        env,
    )


def x_state(env: dict[str, str]) -> list[dict[str, Any]]:
    """Threads: what two objects of the block say in one is together."""
    return rows(
        "select k.channel, k.n_inbound, k.n_outbound, k.first_reply_minutes::double as first_reply_minutes, "
        "c.name_masked is not null as has_name from fct_conversations k left join dim_customers c using (customer_key) "
        "where starts_with(k.source_name, 'brand') order by k.opened_at",
        env,
    )


def chatwoot_state(env: dict[str, str]) -> list[dict[str, Any]]:
    """Conversations of the desk."""
    return _conversations(env, "desk_conversations")


def _writers(env: dict[str, str], block: str) -> list[tuple[Any, ...]]:
    """(source, direction, whether somebody of ours wrote, whether a customer is known, messages)."""
    found = rows(
        "select source_name, direction, agent_key is not null as ours, customer_key is not null as theirs, "
        f"count(*)::int as n from fct_communications where source_name like '{block}%' group by all order by all",
        env,
    )
    return [tuple(row.values()) for row in found]


def wecom_state(env: dict[str, str]) -> list[tuple[Any, ...]]:
    """Messages by writer."""
    return _writers(env, "wecom_")


def wechat_state(env: dict[str, str]) -> list[tuple[Any, ...]]:
    """Messages by writer."""
    return _writers(env, "wechat_")


def facebook_state(env: dict[str, str]) -> list[tuple[Any, ...]]:
    """Posts, comments and messages by writer."""
    return _writers(env, "page_")


STATES: dict[str, Callable[[dict[str, str]], Any]] = {
    "salesforce": salesforce_state,
    "zoho": zoho_state,
    "dynamics": dynamics_state,
    "zendesk": zendesk_state,
    "intercom": intercom_state,
    "chatwoot": chatwoot_state,
    "wecom_kf": wecom_state,
    "wechat_oa": wechat_state,
    "facebook": facebook_state,
    "twilio": twilio_state,
    "x": x_state,
}
DEALS = [{"amount": "10.00", "is_cancelled": True}, {"amount": "4800.50", "is_cancelled": False}]
ZOHO_CASES = [
    {
        "city": "Pune",
        "channel": "email",
        "n_inbound": 1,
        "agent_name": "Patricia Boyle",
        "team": "Care",
    }
]
TICKET = {
    "channel": "email", "status": "closed", "n_inbound": 1, "n_outbound": 1, "satisfaction": 1.0,
    "agent_name": "Amy Agent", "first_reply_minutes": 10.0, "has_name": True,
}  # fmt: skip
OTHER_TICKET = {
    "channel": "phone", "status": "open", "n_inbound": 1, "n_outbound": 0, "satisfaction": None,
    "agent_name": None, "first_reply_minutes": 0.0, "has_name": True,
}  # fmt: skip
WRITERS = [
    {
        "direction": "inbound",
        "is_auto_reply": False,
        "has_agent": False,
        "has_customer": True,
        "n": 1,
    },
    {
        "direction": "outbound",
        "is_auto_reply": False,
        "has_agent": True,
        "has_customer": False,
        "n": 1,
    },
    {
        "direction": "outbound",
        "is_auto_reply": True,
        "has_agent": False,
        "has_customer": False,
        "n": 1,
    },
]
CHAT = {
    "channel": "chat", "status": "open", "n_inbound": 1, "n_outbound": 0, "satisfaction": None,
    "agent_name": "Ciaran Lee", "first_reply_minutes": None, "city": "Dublin",
}  # fmt: skip
# answered ten minutes after the question: what the bot said is no reply
ANSWERED = {
    **CHAT,
    "status": "closed",
    "n_outbound": 2,
    "satisfaction": 0.75,
    "first_reply_minutes": 10.0,
}
SNOOZED = {**CHAT, "channel": "email", "agent_name": None, "city": None}
MISSED = {
    "began": "10:05", "status": "open", "is_inbound": True, "n_answered": 0, "wait": None, "talk": None,
    "agent_name": None,
}  # fmt: skip
# whom we called and did not reach says nothing more in the days after
CALLED = {**MISSED, "is_inbound": False, "n_answered": None, "status": "closed"}
ANNA = {"status": "closed", "agent_name": "client:anna"}
# two of us that talked to each other are nobody's contact
CALLS = [
    {**MISSED, **ANNA, "began": "10:00", "n_answered": 1, "wait": 30, "talk": 120},
    MISSED,
    {**CALLED, **ANNA, "began": "10:10", "talk": 40},
    {**CALLED, "began": "10:15"},
    {**CALLED, "began": "10:35"},
]
MOBILE = {
    "began": "10:30", "status": "closed", "is_inbound": True, "n_answered": 1, "wait": 10, "talk": 590,
    "agent_name": "+14155550150",
}  # fmt: skip
THREAD = {
    "channel": "social", "n_inbound": 2, "n_outbound": 0, "first_reply_minutes": None, "has_name": True,
}  # fmt: skip
DESK = {
    "channel": "chat", "status": "open", "n_inbound": 2, "n_outbound": 0, "satisfaction": None,
    "agent_name": "Amy Agent", "first_reply_minutes": None, "city": "Cork",
}  # fmt: skip
# one message was taken back; what machines wrote does not count
DESK_CLOSED = {
    **DESK, "status": "closed", "n_inbound": 1, "n_outbound": 1, "satisfaction": 0.75,
    "first_reply_minutes": 10.0,
}  # fmt: skip
DESK_MAIL = {**DESK, "channel": "email", "n_inbound": 1, "agent_name": None, "city": None}
BEFORE: dict[str, Any] = {
    "chatwoot": [DESK, DESK_MAIL],
    "wecom_kf": [
        ("wecom_messages", "inbound", False, True, 3),
        ("wecom_messages", "outbound", True, True, 2),
    ],
    "wechat_oa": [
        ("wechat_messages", "inbound", True, True, 2),
        ("wechat_messages", "outbound", True, True, 1),
    ],
    "facebook": [
        ("page_comments", "inbound", False, True, 1),
        ("page_comments", "outbound", False, False, 1),
        ("page_messages", "inbound", False, True, 3),
        ("page_posts", "inbound", False, True, 1),
    ],
    # the contact is not merged yet, the second case not deleted
    "salesforce": {
        "cases": [
            {
                "city": "Leeds",
                "points": 2,
                "n_inbound": 1,
                "n_outbound": 1,
                "agent_name": "Anna Agent",
            },
            {"city": None, "points": 2, "n_inbound": 0, "n_outbound": 0, "agent_name": None},
        ],
        "deals": DEALS,
        "redirects": [{"n": 2}],
    },
    "zoho": {"cases": ZOHO_CASES, "runs": [{"n": 3}]},
    "dynamics": {
        "cases": [
            {
                "city": "Tacoma",
                "channel": "email",
                "n_inbound": 1,
                "n_outbound": 1,
                "satisfaction": 0.75,
                "team": "Care",
            },
            {
                "city": None,
                "channel": "phone",
                "n_inbound": 0,
                "n_outbound": 0,
                "satisfaction": None,
                "team": None,
            },
        ],
    },
    "zendesk": {
        "tickets": [TICKET, OTHER_TICKET],
        "writers": [{**WRITERS[0], "n": 2}, *WRITERS[1:]],
    },
    "intercom": [CHAT, SNOOZED],
    # the call that was put through to a mobile is not over, and waits
    "twilio": CALLS,
    "x": [THREAD, {**THREAD, "n_inbound": 1}],
}
AFTER: dict[str, Any] = {
    "chatwoot": [DESK_CLOSED, DESK_MAIL],
    "wecom_kf": [
        ("wecom_messages", "inbound", False, True, 3),
        ("wecom_messages", "outbound", True, True, 1),
    ],
    "wechat_oa": [
        ("wechat_messages", "inbound", True, True, 3),
        ("wechat_messages", "outbound", True, True, 2),
    ],
    "facebook": [
        ("page_comments", "inbound", False, False, 1),
        ("page_comments", "inbound", False, True, 2),
        ("page_comments", "outbound", False, False, 1),
        ("page_messages", "inbound", False, True, 3),
        ("page_messages", "outbound", False, True, 1),
        ("page_posts", "inbound", False, True, 1),
    ],
    # two ids, two addresses and a number are one customer, whose profile is the contact's that is left
    "salesforce": {
        "cases": [
            {
                "city": "London",
                "points": 5,
                "n_inbound": 1,
                "n_outbound": 1,
                "agent_name": "Anna Agent",
            }
        ],
        "deals": DEALS,
        "redirects": [{"n": 4}],
    },
    # two contacts stay, and one deletion is counted
    "zoho": {"cases": ZOHO_CASES, "runs": [{"n": 1}]},
    "dynamics": {
        "cases": [
            {
                "city": "Seattle",
                "channel": "email",
                "n_inbound": 1,
                "n_outbound": 1,
                "satisfaction": 0.75,
                "team": "Care",
            },
        ],
    },
    "zendesk": {"tickets": [TICKET], "writers": WRITERS},
    "intercom": [ANSWERED, SNOOZED],
    "twilio": [*CALLS[:4], MOBILE, CALLS[4]],
    # an edited post is one message; what we say to nobody has no customer
    "x": [
        {**THREAD, "n_outbound": 1, "first_reply_minutes": 10.0},
        {**THREAD, "n_inbound": 1, "n_outbound": 1, "first_reply_minutes": 2.0},
        {**THREAD, "n_inbound": 0, "n_outbound": 2, "has_name": False},
    ],
}
