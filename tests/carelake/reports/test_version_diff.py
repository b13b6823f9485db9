"""Why a day changed: two small versions, and what is said of the difference."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.reports.version_diff import (
    DayChange,
    MartChange,
    behind_the_day,
    day_changes,
    mart_changes,
    new_batches,
    two_versions,
)
from carelake.settings import Home

TABLES = """
create schema marts; create schema meta;
create table meta.uncounted_columns (table_name varchar, column_name varchar);
insert into meta.uncounted_columns values ('model_decisions', 'decided_at');
create table marts.model_decisions as select 'd1' as decision_id, now() as decided_at;
create table marts.source_runs as select 'b1' as batch_id, 'chats' as source_name, 7 as n_physical;
create table marts.agg_channel_daily as
    select date '2024-04-23' as day, 'chat' as channel, 2 as n_conversations_opened, 1.5 as satisfaction_sum;
create table marts.fct_conversations as
    select unnest(['c1', 'c2', 'c3']) as conversation_key, 'chats' as source_name, 'open' as status,
        unnest([timestamptz '2024-04-22 16:30:00+00', '2024-04-23 15:59:00+00', '2024-04-23 16:00:00+00']) as opened_at;
create table marts.fct_communications (communication_key varchar, source_name varchar, sent_at timestamptz);
create table marts.fct_orders (order_key varchar, source_name varchar, ordered_at timestamptz);
create table marts.fct_survey_responses
    (survey_response_key varchar, source_name varchar, responded_at timestamptz);
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Version 1, and version 2 in which a batch closed one conversation and brought another."""
    home = Home(tmp_path / "home")
    for version in (1, 2):
        folder = home.published / "versions" / f"{version:06d}"
        folder.mkdir(parents=True)
        with duckdb.connect(str(folder / "draft.duckdb")) as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute(TABLES)
            if version == 2:
                con.execute("""
                    insert into marts.source_runs values ('b2', 'cases', 3);
                    update marts.agg_channel_daily set n_conversations_opened = 1003;
                    update marts.fct_conversations set status = 'closed' where conversation_key <> 'c2';
                    insert into marts.fct_conversations values ('c4', 'cases', 'open', '2024-04-23 00:00:00+00');
                    create table marts.extra as select 1 as number;
                """)
        (folder / "draft.duckdb").rename(folder / "marts.duckdb")
    return home


def test_rows_batches_and_a_day_of_the_companys_zone(home: Home) -> None:
    day = dt.date(2024, 4, 23)
    with two_versions(home, 1, 2) as con:
        # when a decision was taken is a clock time; source_runs tells of runs
        assert mart_changes(con) == [
            MartChange("agg_channel_daily", 1, 1, 1, 1),
            MartChange("extra", 0, 1, 0, 1),
            MartChange("fct_conversations", 3, 4, 2, 3),
        ]
        assert new_batches(con) == [("cases", 1, 3)]
        assert day_changes(con, day) == [DayChange("chat", "n_conversations_opened", "2", "1,003")]
        # c3 began when it was the 24th in Shanghai, c1 when it was the 23rd
        assert behind_the_day(con, day, "Asia/Shanghai") == [
            ("fct_conversations", "cases", "new", 1, "c4"),
            ("fct_conversations", "chats", "changed", 1, "c1"),
        ]
    with two_versions(home, 2, 2) as con:
        assert mart_changes(con) == []


def test_a_version_that_is_gone_is_named_with_those_that_are_kept(home: Home) -> None:
    with (
        pytest.raises(ConfigError, match="version 9 is not kept; kept are: 1, 2"),
        two_versions(home, 1, 9),
    ):
        pass
