"""A company made by hand: just enough of the marts to plan on, with defaults for the rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from carelake.followup import FollowUpRules
from carelake.followup.rules import Rule

AS_OF = dt.datetime(2024, 5, 31, 0, 0, tzinfo=dt.UTC)  # Thursday is over, Friday begins

MARTS = """
create schema marts; create schema ops; create schema care; create schema staging;
create table ops.settings (key varchar, value varchar);
create table ops.business_hours (day_of_week integer, opens time, closes time);
create table ops.holidays (day date);
create table care.follow_ups (
    follow_up_id varchar primary key, customer_key varchar, conversation_key varchar,
    reason_code varchar, reason varchar, channel varchar, owner varchar, due_at timestamptz,
    priority integer, rank integer, status varchar, planned_as_of timestamptz, evidence json);
create table marts.dim_customers (
    customer_key varchar, first_seen_at timestamptz, last_contact_at timestamptz, age integer,
    gender varchar, city varchar, country varchar, preferred_channel varchar,
    do_not_contact boolean, owner_agent_key varchar, segment_name varchar,
    n_conversations bigint default 1, n_orders bigint default 0,
    order_value decimal(18, 2) default 0);
create table marts.dim_contact_points (
    contact_point_key varchar, customer_key varchar, kind varchar, is_shared boolean);
create table marts.dim_agents (agent_key varchar, agent_name varchar, team varchar);
create table marts.fct_conversations (
    conversation_key varchar, customer_key varchar, agent_key varchar, channel varchar default 'email',
    status varchar default 'closed', outcome_state varchar, category varchar, language varchar,
    opened_at timestamptz default '2024-05-28 10:00:00+00', first_reply_at timestamptz,
    closed_at timestamptz, n_inbound bigint default 1, n_outbound bigint default 0,
    first_reply_minutes decimal(18, 3), resolution_minutes decimal(18, 3),
    handle_seconds decimal(18, 3), is_reopened boolean default false, satisfaction decimal(9, 6));
create table marts.satisfaction_predictions (
    conversation_key varchar, p_satisfied decimal(9, 6), reasons json, model_name varchar,
    model_version integer);
create table marts.fct_survey_responses (
    survey_response_key varchar, conversation_key varchar, kind varchar, score decimal(9, 3),
    comment_masked varchar, responded_at timestamptz);
create table marts.fct_orders (customer_key varchar, ordered_at timestamptz, is_cancelled boolean);
insert into ops.settings values ('reporting_timezone', 'UTC');
insert into ops.business_hours
    select day, opens::time, closes::time
    from generate_series(1, 5) as days (day),
    (values ('09:00', '12:00'), ('13:00', '18:00')) as hours (opens, closes);
insert into marts.dim_agents values ('a1', 'Ana', 'care'), ('a2', 'Bo', 'care');
"""


class Company:
    """The hand-made warehouse and short ways to fill it."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def add(self, table: str, **values: Any) -> None:
        """One row; unnamed columns keep their defaults."""
        marks = ", ".join("?" for _ in values)
        self.con.execute(
            f"insert into {table} ({', '.join(values)}) values ({marks})", list(values.values())
        )

    def customer(self, key: str, kinds: tuple[str, ...] = ("email",), **values: Any) -> None:
        """A customer with contact points of the given kinds."""
        self.add("marts.dim_customers", customer_key=key, **values)
        for kind in kinds:
            self.add(
                "marts.dim_contact_points",
                contact_point_key=f"{key}-{kind}",
                customer_key=key,
                kind=kind,
                is_shared=False,
            )

    def unhappy(self, key: str, p: float = 0.2, *, agent: str | None = "a1", **values: Any) -> None:
        """A closed conversation `<key>-c` of customer `key` that the model thinks went wrong."""
        defaults = {"category": "delivery", "first_reply_minutes": 200, "agent_key": agent}
        self.add(
            "marts.fct_conversations",
            conversation_key=f"{key}-c",
            customer_key=key,
            **{**defaults, **values},
        )
        self.add(
            "marts.satisfaction_predictions",
            conversation_key=f"{key}-c",
            p_satisfied=p,
            reasons='[{"words": "slow reply", "words_zh": "回复太慢", "effect": -1.5}, '
            '{"words": "age", "words_zh": "年龄", "effect": 0.1}]',
            model_name="before_survey",
            model_version=3,
        )

    def queue(self, columns: str = "*") -> list[tuple[Any, ...]]:
        """The stored follow-ups by rank."""
        return self.con.execute(
            f"select {columns} from care.follow_ups order by rank, follow_up_id"
        ).fetchall()


@pytest.fixture
def company() -> Iterator[Company]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(MARTS)
        yield Company(con)


@pytest.fixture
def make_rules() -> Callable[..., FollowUpRules]:
    """Rules with one rule for unhappy conversations; keywords change either."""

    def make(*rules: dict[str, Any], **settings: Any) -> FollowUpRules:
        first = {
            "code": "unhappy",
            "when": "p_satisfied < 0.5",
            "reason": "Waited {first_reply_minutes:duration} on {channel} for '{category}', "
            "likely unhappy (p={p_satisfied})",
            "due_within_hours": 2,
        }
        chosen = [Rule.model_validate({**first, **rule}) for rule in rules or ({},)]
        return FollowUpRules(rules=chosen, **settings)

    return make
