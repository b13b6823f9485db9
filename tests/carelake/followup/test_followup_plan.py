"""Who is planned, when, and for whom: each edge worked by hand."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.followup import FollowUpRules, load_rules, plan
from carelake.followup.planner import _run_file
from carelake.followup.rules import CANDIDATE_COLUMNS

MakeRules = Callable[..., FollowUpRules]
AS_OF = dt.datetime(2024, 5, 31, 0, 0, tzinfo=dt.UTC)  # Thursday is over, Friday begins


def at(day: int, hour: int, month: int = 5) -> dt.datetime:
    return dt.datetime(2024, month, day, hour, tzinfo=dt.UTC)


def test_a_task_says_who_why_how_by_whom_and_until_when(
    company: Any, make_rules: MakeRules
) -> None:
    company.customer("cu", ("email", "phone"), preferred_channel="phone", segment_name="loyal")
    company.unhappy("cu", 0.23)

    result = plan(company.con, make_rules(), as_of=AS_OF)

    columns = "customer_key, conversation_key, reason_code, reason, channel, owner, due_at, status"
    assert company.queue(columns) == [
        (
            "cu",
            "cu-c",
            "unhappy",
            "Waited 3 h on email for 'delivery', likely unhappy (p=0.23)",
            "phone",
            "Ana",
            at(31, 11),
            "proposed",
        )
    ]
    assert (result.n_planned, result.by_owner, result.by_rule) == (1, {"Ana": 1}, {"unhappy": 1})
    evidence = json.loads(company.queue("evidence")[0][0])
    assert evidence["rule"] == "unhappy"
    assert evidence["model_version"] == 3
    assert evidence["segment_name"] == "loyal"


def test_overflow_goes_to_the_next_working_day_in_order_of_urgency(
    company: Any, make_rules: MakeRules
) -> None:
    company.con.execute("insert into ops.holidays values ('2024-06-03')")  # the Monday after
    for number in range(5):
        company.customer(f"cu{number}")
        company.unhappy(f"cu{number}", 0.1 + number / 100)

    result = plan(company.con, make_rules(daily_capacity=2, horizon_days=2), as_of=AS_OF)

    assert company.queue("rank, customer_key, due_at") == [
        (1, "cu0", at(31, 11)),
        (2, "cu1", at(31, 11)),
        (3, "cu2", at(4, 11, 6)),
        (4, "cu3", at(4, 11, 6)),
    ]
    assert result.n_waiting == 1


def test_priority_goes_before_urgency_and_each_customer_gets_one_task(
    company: Any, make_rules: MakeRules
) -> None:
    company.customer("cu0")
    company.customer("cu1")
    company.unhappy("cu0", 0.01)
    company.unhappy("cu1", 0.4, satisfaction=0)
    rules = make_rules({}, {"code": "bad", "when": "satisfaction = 0", "priority": 1})

    plan(company.con, rules, as_of=AS_OF)

    assert company.queue("customer_key, reason_code") == [("cu1", "bad"), ("cu0", "unhappy")]


def test_a_due_time_outside_business_hours_moves_to_the_next_opening(
    company: Any, make_rules: MakeRules
) -> None:
    for key in ("lunch", "night", "weekend"):
        company.customer(key)
        company.unhappy(key, category=key)
    rules = make_rules(
        {"code": "lunch", "when": "category = 'lunch'", "due_within_hours": 3},
        {"code": "night", "when": "category = 'night'", "due_within_hours": 10},
        {"code": "weekend", "when": "category = 'weekend'", "due_within_hours": 30},
    )
    company.con.execute("update ops.business_hours set opens = '13:30' where opens = '13:00'")
    company.con.execute("update ops.business_hours set closes = '11:30' where closes = '12:00'")

    plan(company.con, rules, as_of=AS_OF)

    assert dict(company.queue("customer_key, due_at")) == {
        "lunch": dt.datetime(2024, 5, 31, 13, 30, tzinfo=dt.UTC),
        "night": at(3, 9, 6),
        "weekend": at(3, 9, 6),
    }


def test_business_hours_are_those_of_the_reporting_zone(
    company: Any, make_rules: MakeRules
) -> None:
    company.con.execute("update ops.settings set value = 'Asia/Shanghai'")
    company.customer("cu")
    company.unhappy("cu")

    plan(company.con, make_rules(), as_of=dt.datetime(2024, 5, 30, 16, 0, tzinfo=dt.UTC))

    assert company.queue("due_at") == [(at(31, 3),)]  # 09:00 in Shanghai and two hours


def test_nobody_who_asked_not_to_be_contacted_or_cannot_be_reached_is_planned(
    company: Any, make_rules: MakeRules
) -> None:
    company.customer("unwanted", do_not_contact=True)
    company.customer("unreachable", ())
    company.customer("shared", ())
    company.add(
        "marts.dim_contact_points",
        contact_point_key="s",
        customer_key="shared",
        kind="phone",
        is_shared=True,
    )
    for key in ("unwanted", "unreachable", "shared"):
        company.unhappy(key)

    result = plan(company.con, make_rules(), as_of=AS_OF)

    assert company.queue() == []
    assert (result.n_matched, result.n_do_not_contact, result.n_unreachable) == (3, 1, 2)


@pytest.mark.parametrize(
    ("wish", "preferred", "kinds", "expected"),
    [
        ("preferred", "phone", ("phone", "email"), "phone"),
        ("preferred", "phone", ("email",), "email"),
        ("preferred", None, ("phone",), "phone"),
        ("conversation", "phone", ("phone", "email"), "email"),
        ("phone", "email", ("phone", "email"), "phone"),
        ("email", None, ("handle",), "chat"),
        ("preferred", None, ("crm",), "email"),
    ],
)
def test_the_channel_is_the_first_wish_on_which_the_customer_has_an_address(
    company: Any,
    make_rules: MakeRules,
    wish: str,
    preferred: str | None,
    kinds: tuple[str, ...],
    expected: str,
) -> None:
    company.customer("cu", kinds, preferred_channel=preferred)
    company.unhappy("cu")  # by email
    plan(company.con, make_rules({"channel": wish}), as_of=AS_OF)
    assert company.queue("channel") == [(expected,)]


def test_owners_and_their_capacities(company: Any, make_rules: MakeRules) -> None:
    for number in range(8):
        key = f"cu{number}"
        company.customer(key, owner_agent_key="a2")
        company.unhappy(key, category="team" if number < 5 else "owner", agent=None)
    rules = make_rules(
        {"code": "team", "when": "category = 'team'", "owner": "care"},
        {"code": "own", "when": "category = 'owner'", "owner": "owner_agent"},
        daily_capacity=2,
        capacity_of={"Bo": 1},
        horizon_days=1,
    )

    result = plan(company.con, rules, as_of=AS_OF)

    assert result.by_owner == {"care": 4, "Bo": 1}  # two agents of the team; Bo does one a day


def test_what_a_person_decided_survives_and_fills_their_day(
    company: Any, make_rules: MakeRules
) -> None:
    rules = make_rules(daily_capacity=1)
    for key, p in (("cu0", 0.1), ("cu1", 0.2), ("cu2", 0.3)):
        company.customer(key)
        company.unhappy(key, p)
    plan(company.con, rules, as_of=AS_OF)
    first, second, third = company.queue("follow_up_id")
    company.con.execute(
        "create table staging.stg_follow_ups as select unnest([?, ?]) as follow_up_id,"
        " unnest(['Approved', 'done']) as status, unnest([null, timestamptz '2024-05-30 08:00:00+00'])"
        " as completed_at, timestamptz '2024-05-30 08:00:00+00' as updated_at, 'crm' as source_name",
        [first[0], third[0]],
    )

    result = plan(company.con, rules, as_of=AS_OF)

    kept = dict(company.con.execute("select follow_up_id, status from care.follow_ups").fetchall())
    assert kept == {first[0]: "approved", second[0]: "proposed", third[0]: "done"}
    assert (result.n_kept, result.n_cooling) == (2, 0)  # their conversations are not matched again
    due = company.con.execute("select due_at from care.follow_ups where status = 'proposed'")
    assert due.fetchall() == [(at(3, 11, 6),)]  # Friday is taken by the approved one


def test_a_new_reason_waits_for_the_cool_down(company: Any, make_rules: MakeRules) -> None:
    company.customer("cu")
    company.unhappy("cu")
    company.add(
        "care.follow_ups",
        follow_up_id="old",
        customer_key="cu",
        owner="Ana",
        due_at=at(20, 9),
        status="done",
    )

    assert plan(company.con, make_rules(cool_down_days=14), as_of=AS_OF).n_cooling == 1
    assert plan(company.con, make_rules(cool_down_days=5), as_of=AS_OF).n_planned == 1
    company.con.execute("update care.follow_ups set status = 'approved' where follow_up_id = 'old'")
    assert plan(company.con, make_rules(cool_down_days=0), as_of=AS_OF).n_cooling == 1


def test_planning_again_gives_the_same_rows_whatever_the_order_of_the_marts(
    company: Any, make_rules: MakeRules
) -> None:
    for number in range(40):
        company.customer(f"cu{number}", ("email", "phone"))
        company.unhappy(f"cu{number}", (number % 3) / 10)
    rules = make_rules(daily_capacity=7)
    plan(company.con, rules, as_of=AS_OF)
    before = company.queue()
    for table in ("dim_customers", "fct_conversations", "dim_contact_points"):
        company.con.execute(
            f"create or replace table marts.{table} as select * from marts.{table} order by hash({table})"
        )

    plan(company.con, rules, as_of=AS_OF)

    assert len(before) == 35
    assert company.queue() == before


def test_without_matches_or_rules_old_proposals_go(company: Any, make_rules: MakeRules) -> None:
    company.customer("cu")
    company.unhappy("cu")
    plan(company.con, make_rules(), as_of=AS_OF)
    assert plan(company.con, make_rules({"when": "p_satisfied < 0"}), as_of=AS_OF).n_matched == 0
    assert company.queue() == []
    assert plan(company.con, FollowUpRules(), as_of=AS_OF).n_planned == 0


def test_a_failed_plan_leaves_the_last_one(company: Any, make_rules: MakeRules) -> None:
    company.customer("cu")
    company.unhappy("cu")
    plan(company.con, make_rules(), as_of=AS_OF)
    before = company.queue()
    broken = make_rules({"when": "(category || 'x')::integer > 0"})
    with pytest.raises(duckdb.ConversionException):
        plan(company.con, broken, as_of=AS_OF)
    assert company.queue() == before


def test_no_working_day_is_said_in_one_line(company: Any, make_rules: MakeRules) -> None:
    company.con.execute("delete from ops.business_hours")
    with pytest.raises(ConfigError, match=r"carelake.yml: business_hours: .* add one"):
        plan(company.con, make_rules(), as_of=AS_OF)


def test_the_candidate_view_has_exactly_the_columns_rules_are_checked_against(company: Any) -> None:
    _run_file(company.con, "candidates.sql", {"as_of": AS_OF, "language": "en"})
    found = company.con.execute("describe followup_candidates").fetchall()
    types = {name: kind.lower() for name, kind, *_ in found}
    assert types.pop("do_not_contact") == "boolean"
    wanted = {
        name: kind.replace("timestamptz", "timestamp with time zone").replace(", ", ",")
        for name, kind in CANDIDATE_COLUMNS.items()
    }
    assert types == wanted


@pytest.mark.parametrize(
    ("language", "of_chinese", "of_others"),
    [("en", "en", "en"), ("zh", "zh", "zh"), ("conversation", "zh", "en")],
)
def test_reasons_are_read_in_the_language_that_is_set_or_spoken(
    company: Any, tmp_path: Any, language: str, of_chinese: str, of_others: str
) -> None:
    told = {
        "en": "Satisfied with a chance of 20 % after contact by email about 'delivery', "
        "3 h to our first reply; weighs most: slow reply",
        "zh": "满意的可能性 20 %，email联系（delivery），首次回复用了 3 小时；主要因为：回复太慢",
    }
    for key, spoken in (("li", "zh"), ("ann", "en"), ("ivo", None)):
        company.customer(key, ("email",))
        company.unhappy(key, 0.2, closed_at=at(29, 9), language=spoken)
    rules = load_rules(tmp_path).model_copy(update={"language": language})

    plan(company.con, rules, as_of=AS_OF)

    found = dict(company.queue("customer_key, reason"))
    assert found == {"li": told[of_chinese], "ann": told[of_others], "ivo": told[of_others]}


def test_the_shipped_rules_find_their_cases(company: Any, tmp_path: Any) -> None:
    company.customer("waits", ("email",))
    company.unhappy("waits", 0.9, status="open", first_reply_minutes=None)
    company.customer("rated", ("phone",))
    company.unhappy("rated", 0.9, satisfaction=0.25, closed_at=at(29, 9))
    company.add(
        "marts.fct_survey_responses",
        survey_response_key="s",
        conversation_key="rated-c",
        kind="csat",
        score=2,
        responded_at=at(29, 10),
    )
    company.customer("again", ("email",))
    company.unhappy("again", 0.9, status="open", is_reopened=True, first_reply_at=at(29, 9))
    company.customer("fears", ("email",))
    company.unhappy("fears", 0.31, closed_at=at(29, 9))
    company.customer("gone", ("email",), n_orders=4, order_value=1234.5)
    company.add("marts.fct_orders", customer_key="gone", ordered_at=at(1, 0, 1))
    company.customer("happy", ("email",))
    company.unhappy("happy", 0.9, closed_at=at(29, 9))

    plan(company.con, load_rules(tmp_path), as_of=AS_OF)

    assert company.queue("customer_key, reason_code, reason, channel") == [
        ("waits", "unanswered", "No answer for 3 days on email about 'delivery'", "email"),
        ("rated", "bad_survey", "Rated csat 2 after contact by email about 'delivery'", "phone"),
        (
            "again",
            "reopened",
            "Came back on email about 'delivery': the matter was not solved the first time",
            "email",
        ),
        (
            "fears",
            "likely_unhappy",
            "Satisfied with a chance of 31 % after contact by email about 'delivery', "
            "3 h to our first reply; weighs most: slow reply",
            "email",
        ),
        ("gone", "win_back", "4 orders worth 1234.50, none for 151 days", "email"),
    ]
