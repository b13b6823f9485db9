"""Make the follow-up list: who, why, on which channel, by whom, until when. SQL over the marts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.errors import ConfigError
from carelake.followup.rules import CANDIDATE_COLUMNS, FollowUpRules, Rule
from carelake.followup.template import placeholders, template_sql, text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SQL = Path(__file__).parent
_TEMPORARY = (
    "followup_candidates",
    "followup_matches",
    "followup_rules",
    "followup_capacities",
    "followup_completions",
    "followup_chosen",
    "followup_filled",
)
_EVIDENCE = ("p_satisfied", "model_name", "model_version", "satisfaction", "segment_name")


@dataclass(frozen=True)
class PlanResult:
    """What a plan did, in customers.

    Attributes:
        n_matched: customers for whom at least one rule holds.
        n_planned: proposals written.
        n_kept: follow-ups of earlier plans that a person approved, did or dropped; untouched.
        n_waiting: did not fit into the horizon; the next plan considers them again.
        n_do_not_contact: left out because they asked not to be contacted.
        n_unreachable: left out because no contact point of theirs is known.
        n_cooling: left out because of an open or recent follow-up.
        by_rule: proposals per rule code.
        by_owner: proposals per owner.
    """

    n_matched: int
    n_planned: int
    n_kept: int
    n_waiting: int
    n_do_not_contact: int
    n_unreachable: int
    n_cooling: int
    by_rule: dict[str, int]
    by_owner: dict[str, int]


def plan(con: DuckDBPyConnection, rules: FollowUpRules, *, as_of: dt.datetime) -> PlanResult:
    """Replace the proposals in `care.follow_ups` by those the rules give now.

    Same marts, same kept follow-ups, same rules and moment: same rows. Follow-ups that a person
    approved, did or dropped stay as they are and fill their owner's day first.

    Args:
        con: the warehouse, open for writing, with the marts built and scored.
        rules: checked rules, from `load_rules`.
        as_of: the moment the plan is made for, with its time zone; that of the marts.

    Raises:
        ConfigError: there is no working day to plan on.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone")
    parameters: dict[str, Any] = {
        "as_of": as_of,
        "cool_down_days": rules.cool_down_days,
        "fallback_owner": rules.fallback_owner,
        "horizon_days": rules.horizon_days,
        "daily_capacity": rules.daily_capacity,
        "timezone": _reporting_timezone(con),
        "language": rules.language,
    }
    _need_working_days(con, rules)
    with _transaction(con):
        try:
            _take_outcomes(con)
            con.execute("delete from care.follow_ups where status = 'proposed'")
            _write_rules(con, rules)
            _run_file(con, "candidates.sql", parameters)
            con.execute(_matches_sql(rules.rules))
            _run_file(con, "choose.sql", parameters)
            _run_file(con, "fill.sql", parameters)
            con.execute(_insert_sql(rules.rules), {"as_of": as_of})
            return _result(con)
        finally:
            _drop_temporary(con)


@contextmanager
def _transaction(con: DuckDBPyConnection) -> Iterator[None]:
    """All or nothing; inside a transaction of the caller's, the caller's."""
    import duckdb

    try:
        con.begin()
    except duckdb.TransactionException:
        yield
        return
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _run_file(con: DuckDBPyConnection, name: str, parameters: dict[str, Any]) -> None:
    sql = (_SQL / name).read_text(encoding="utf-8")
    con.execute(sql, {key: value for key, value in parameters.items() if f"${key}" in sql})


def _reporting_timezone(con: DuckDBPyConnection) -> str:
    row = con.execute("select value from ops.settings where key = 'reporting_timezone'").fetchone()
    return str(row[0]) if row and row[0] else "UTC"


def _need_working_days(con: DuckDBPyConnection, rules: FollowUpRules) -> None:
    found = con.execute("select count(*) from ops.business_hours").fetchone()
    if rules.rules and not (found and found[0]):
        raise ConfigError(
            "carelake.yml: business_hours: no day has any, so no follow-up can be planned; add one"
        )


def _take_outcomes(con: DuckDBPyConnection) -> None:
    """Status and completion times that came back through a source, where one is configured."""
    con.execute(
        "create or replace temporary table followup_completions"
        " (follow_up_id varchar, completed_at timestamptz)"
    )
    known = con.execute(
        "select 1 from duckdb_tables() where schema_name = 'staging' and table_name = 'stg_follow_ups'"
        " union all "
        "select 1 from duckdb_views() where schema_name = 'staging' and view_name = 'stg_follow_ups'"
    ).fetchone()
    if not known:
        return
    con.execute((_SQL / "outcomes.sql").read_text(encoding="utf-8"))
    con.execute(
        "insert into followup_completions select follow_up_id, max(completed_at)"
        " from staging.stg_follow_ups group by follow_up_id"
    )


def _write_rules(con: DuckDBPyConnection, rules: FollowUpRules) -> None:
    con.execute(
        "create or replace temporary table followup_rules (position integer, code varchar,"
        " channel varchar, owner varchar, due_within_hours integer, priority integer)"
    )
    con.execute(
        "create or replace temporary table followup_capacities (owner varchar, capacity bigint)"
    )
    for position, rule in enumerate(rules.rules):
        con.execute(
            "insert into followup_rules values (?, ?, ?, ?, ?, ?)",
            [position, rule.code, rule.channel, rule.owner, rule.due_within_hours, rule.priority],
        )
    for owner, capacity in rules.capacity_of.items():
        con.execute("insert into followup_capacities values (?, ?)", [owner, capacity])


def _matches_sql(rules: list[Rule]) -> str:
    """One row per candidate and rule that holds, with the rule's urgency. One pass over them.

    The line breaks around a rule's text keep a comment at its end from swallowing ours.
    """
    conditions = [
        f"case when (\n{rule.when}\n)::boolean then {position} end"
        for position, rule in enumerate(rules)
    ]
    urgencies = [
        f"when {position} then (\n{rule.urgency}\n)::double" for position, rule in enumerate(rules)
    ]
    return f"""
        create or replace temporary table followup_matches as
        with matched as (
            select
                *,
                unnest(list_filter([{", ".join(conditions) or "null::integer"}]::integer[],
                    lambda position: position is not null)) as position,
            from followup_candidates
        )
        select *, {_case(urgencies, "null::double")} as urgency
        from matched as followups
    """


def _insert_sql(rules: list[Rule]) -> str:
    reasons = [f"when {position} then {_reason_sql(rule)}" for position, rule in enumerate(rules)]
    evidence = [
        f"when {position} then {_evidence_sql(rule)}" for position, rule in enumerate(rules)
    ]
    return f"""
        insert into care.follow_ups by name
        select
            follow_up_id, customer_key, conversation_key, code as reason_code,
            {_case(reasons, "null::varchar")} as reason, contact_channel as channel, owner,
            due_at, priority, rank, 'proposed' as status, $as_of::timestamptz as planned_as_of,
            {_case(evidence, "null::json")} as evidence
        from followup_filled as followups
        order by rank
    """


def _case(branches: list[str], empty: str) -> str:
    return f"case followups.position {' '.join(branches)} end" if branches else empty


def _reason_sql(rule: Rule) -> str:
    ours = template_sql(rule.reason, CANDIDATE_COLUMNS)
    if rule.reason_zh is None:
        return ours
    chinese = template_sql(rule.reason_zh, CANDIDATE_COLUMNS, "zh")
    return f"(case when reason_language = 'zh' then {chinese} else {ours} end)"


def _evidence_sql(rule: Rule) -> str:
    """The values a reason rests on, so that a task can be explained after the marts moved on."""
    named = [*placeholders(rule.reason), *placeholders(rule.reason_zh or "")]
    columns = dict.fromkeys([*(name for name, _ in named), *_EVIDENCE])
    pairs = ", ".join(f"{text_literal(name)}, {name}" for name in columns)
    return f"json_object('rule', {text_literal(rule.code)}, 'when', {text_literal(rule.when.strip())}, {pairs})"


def _result(con: DuckDBPyConnection) -> PlanResult:
    counts = con.execute(
        """
        select
            count(*),
            count(*) filter (do_not_contact),
            count(*) filter (not do_not_contact and (has_open or is_cooling)),
            count(*) filter (
                not do_not_contact and not has_open and not is_cooling and contact_channel is null
            ),
            (select count(*) from followup_filled),
            (select count(*) from care.follow_ups where status != 'proposed'),
        from followup_chosen
        """
    ).fetchone()
    assert counts is not None
    matched, unwanted, cooling, unreachable, planned, kept = counts
    return PlanResult(
        n_matched=matched,
        n_planned=planned,
        n_kept=kept,
        n_waiting=matched - unwanted - cooling - unreachable - planned,
        n_do_not_contact=unwanted,
        n_unreachable=unreachable,
        n_cooling=cooling,
        by_rule=_counts(con, "reason_code"),
        by_owner=_counts(con, "owner"),
    )


def _counts(con: DuckDBPyConnection, column: str) -> dict[str, int]:
    rows = con.execute(
        f"select {column}, count(*) from care.follow_ups where status = 'proposed'"
        f" group by {column} order by 2 desc, 1"
    ).fetchall()
    return {str(key): int(count) for key, count in rows}


def _drop_temporary(con: DuckDBPyConnection) -> None:
    import duckdb

    for table in _TEMPORARY:
        try:
            con.execute(f"drop table if exists temp.{table}")
        except duckdb.Error:  # an aborted transaction takes them along
            return
