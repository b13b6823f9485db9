"""What a home's conversations say, without ids and names of sources: the same from files and live."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb

LEFT_OUT = "owner_records"
"""A file of the owner's that repeats ratings without a moment, person or words; no system has it."""
Point = tuple[str, str]

CONVERSATIONS = f"""
    select
        channel, opened_at, n_inbound, n_outbound, first_reply_minutes, agent_name,
        list_sort(list(distinct point.kind || ' ' || point.value) filter (where point.value is not null)) as points,
        bool_or(has_words) as has_words,
    from intermediate.int_conversations as conversations
    left join (select distinct agent_key, agent_name from intermediate.int_agent_aliases) using (agent_key)
    left join (
        select conversation_key, bool_or(text_masked is not null) as has_words
        from intermediate.int_communications group by all
    ) using (conversation_key)
    left join (select * from intermediate.int_contact_points where kind <> 'crm') as point
        on conversations.customer_key = point.customer_key
    where source_name <> '{LEFT_OUT}'
    group by all
"""
MESSAGES = f"""
    select
        messages.channel, messages.direction, messages.is_auto_reply, messages.sent_at, messages.duration_seconds,
        coalesce(messages.text_unmasked, messages.text_masked) as said, conversations.opened_at,
    from intermediate.int_communications as messages
    inner join intermediate.int_conversations as conversations using (conversation_key)
    where messages.source_name <> '{LEFT_OUT}'
"""
RATINGS = f"""
    select channel, opened_at, responses.score, comment, date_trunc('minute', responded_at) as responded_at,
    from intermediate.int_survey_responses as responses
    inner join intermediate.int_conversations as conversations using (conversation_key)
    where kind = 'csat' and attached_by in ('conversation_id', 'same_row') and responses.source_name <> '{LEFT_OUT}'
"""
ORDERS = """
    select (ordered_at at time zone 'Asia/Shanghai')::date as day, amount, is_cancelled, customer_key is not null,
    from intermediate.int_orders
"""
POINTS = """
    select kind, value, customer_key, is_shared from intermediate.int_contact_points where kind <> 'crm'
"""


class Content:
    """What was read into one home, without conversations that begin at certain moments."""

    def __init__(self, home: Path, without: set[dt.datetime]) -> None:
        with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
            con.execute("set timezone = 'UTC'")
            self.conversations = _rows(con, CONVERSATIONS, without)
            self.messages = [{**m, "said": _words(m)} for m in _rows(con, MESSAGES, without)]
            self.ratings = _rows(con, RATINGS, without)
            self.orders = Counter(con.execute(ORDERS).fetchall())
            self._points = con.execute(POINTS).fetchall()

    def told(self, *columns: str, channels: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
        """Some columns of the conversations on some channels."""
        wanted = ("channel", "opened_at", *columns)
        return Counter(
            tuple(one[name] for name in wanted)
            for one in self.conversations
            if one["channel"] in channels
        )

    def said(self, *columns: str) -> Counter[tuple[Any, ...]]:
        """Some columns of the messages."""
        return Counter(tuple(message[name] for name in columns) for message in self.messages)

    @property
    def points(self) -> set[Point]:
        """Every address, number and handle."""
        return {(kind, value) for kind, value, _, _ in self._points}

    @property
    def shared(self) -> set[Point]:
        """Those that join nobody."""
        return {(kind, value) for kind, value, _, is_shared in self._points if is_shared}

    @property
    def together(self) -> set[tuple[Point, Point]]:
        """Pairs that belong to one customer."""
        return pairs({(kind, value): key for kind, value, key, _ in self._points if key})


def pairs(groups: dict[Point, Any]) -> set[tuple[Point, Point]]:
    """Pairs of points whose group is the same."""
    members = defaultdict(list)
    for point, group in groups.items():
        members[group].append(point)
    return {pair for group in members.values() for pair in combinations(sorted(group), 2)}


def _rows(
    con: duckdb.DuckDBPyConnection, query: str, without: set[dt.datetime]
) -> list[dict[str, Any]]:
    found = con.execute(query)
    names = [column[0] for column in found.description or ()]
    read = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [row for row in read if row["opened_at"] not in without]


def _words(message: dict[str, Any]) -> str:
    """The words of a message; a post may begin with whom it is for."""
    said = message["said"] or ""
    return re.sub(r"^(@\w+ )+", "", said) if message["channel"] == "social" else said
