"""The summary says what the published tables say, on a terminal and in a pipe."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from carelake.errors import RunFailed
from carelake.reports.figures import champion_versions, run_summary
from carelake.reports.summary import print_run_summary
from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList

MARTS = """
create schema published.marts; create schema published.meta; use published.marts;
create table published.meta.publication as
    select 7 as version, timestamptz '2024-05-31 16:00:00+00' as as_of;
create table source_runs (
    batch_id varchar, source_name varchar, n_physical bigint, n_structural_rejects bigint, n_staged bigint,
    n_rejected bigint, n_duplicates bigint, n_superseded bigint, n_deleted bigint, n_held bigint);
insert into source_runs values
    ('c1', 'crm', 1000, 2, 990, 3, 2, 2, 1, 0), ('c2', 'crm', 20, 0, 0, 0, 0, 0, 0, 20),
    ('s1', 'shop', 5, 0, 5, 0, 0, 0, 0, 0), (null, 'shop', 0, 0, 0, 0, 0, 0, 0, 0);
create table rejected_rows (source_name varchar, reason varchar);
insert into rejected_rows values
    ('crm', 'opened_at is not a time: 31/02/2024'), ('crm', 'opened_at is not a time: soon'),
    ('crm', 'id is missing'), ('crm', 'has [bold] brackets');
create table data_quality_results (
    run_id varchar, checked_at timestamptz, layer varchar, suite varchar, expectation varchar,
    column_name varchar, severity varchar, success boolean, batch_id varchar, details varchar);
insert into data_quality_results values
    ('old', '2024-05-01 00:00:00+00', 'raw', 's', 'e', 'c', 'blocking', false, 'b0', 'long ago'),
    ('new', '2024-06-01 00:00:00+00', 'raw', 's', 'e', 'c', 'blocking', true, null, ''),
    ('new', '2024-06-01 00:00:00+00', 'raw', 's', 'e', 'd', 'warning', false, 'b1', 'too many rejects'),
    ('new', '2024-06-01 00:01:00+00', 'marts', 's', 'e', 'd', 'warning', true, null, '');
create table model_decisions (
    decision_id varchar, decided_at timestamptz, model_name varchar, model_version integer,
    decision varchar, reason varchar, metric varchar, baseline_value decimal(9, 6),
    challenger_value decimal(9, 6), n_test bigint, split varchar);
insert into model_decisions values
    ('d1', '2024-05-01 00:00:00+00', 'before_survey', 1, 'promoted', 'first', 'roc_auc', 0.51, 0.7, 100, 'later in time'),
    ('d2', '2024-05-02 00:00:00+00', 'before_survey', 2, 'rejected', 'not better', 'roc_auc', 0.52, 0.69, 110, 'later in time'),
    ('d3', '2024-05-02 00:00:00+00', 'customer_segments', null, 'refused', 'too few customers', 'silhouette', null, null, 0, null);
create table dim_customers as
    select 'k1' as customer_key, '李*' as name_masked union all select 'k2', null;
create table fct_conversations as select 1 as n from range(12); create table fct_communications as select 1 as n;
create table follow_up_queue (
    follow_up_id varchar, customer_key varchar, reason varchar, channel varchar, owner varchar,
    due_at timestamptz, priority integer, rank integer, status varchar);
insert into follow_up_queue
    select 'f' || i, if(i = 1, 'k1', 'k2'), 'Waited ' || i || ' h on [chat]', 'phone', 'Ana',
        '2024-06-03 01:30:00+00', 1, i, if(i = 3, 'done', 'proposed')
    from range(1, 9) as rows (i);
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    home = Home(tmp_path)
    current = home.published / "current"
    current.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach '{current / 'marts.duckdb'}' as published")
        con.execute(MARTS)
    home.mlflow_dir.mkdir()
    with sqlite3.connect(home.mlflow_dir / "mlflow.db") as registry:
        registry.execute(
            "create table registered_model_aliases (alias text, version int, name text)"
        )
        registry.execute(
            "insert into registered_model_aliases values ('champion', 1, 'before_survey')"
        )
    return Context(home, Settings(reporting_timezone="Asia/Shanghai"), SourceList())


def printed(context: Context, **options: Any) -> str:
    stream = io.StringIO()
    print_run_summary(context, Console(file=stream, width=200, **options))
    return stream.getvalue()


def test_figures_are_those_of_the_tables(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARELAKE_MLFLOW_URI", raising=False)
    summary = run_summary(context)

    crm = summary.sources[0]
    assert (crm.source_name, crm.n_batches, crm.n_physical) == ("crm", 2, 1020)
    assert (crm.n_staged, crm.n_rejected, crm.n_replaced, crm.n_held) == (990, 5, 5, 20)
    assert [(r.source_name, r.reason, r.n_rows) for r in summary.rejects] == [
        ("crm", "opened_at is not a time", 2),
        ("crm", "has [bold] brackets", 1),
        ("crm", "id is missing", 1),
    ]
    gates = [(g.layer, g.n_passed, g.n_warnings, g.n_blocking) for g in summary.gates]
    assert gates == [("raw", 1, 1, 0), ("marts", 1, 0, 0)]
    assert summary.warnings == ["raw warning: too many rejects"]
    champion, segments = summary.models
    assert (champion.version, champion.value, champion.baseline) == (1, 0.7, 0.51)
    assert champion.note == "last training rejected: not better"
    assert (segments.version, segments.value) == (None, None)
    assert segments.note == "last training refused: too few customers"
    assert [task.rank for task in summary.follow_ups] == [1, 2, 4, 5, 6]
    assert (summary.follow_ups[0].customer, summary.follow_ups[1].customer) == ("李*", "k2")
    assert summary.follow_ups[0].due == "Mon 2024-06-03 09:30"
    assert (summary.n_follow_ups, summary.version) == (7, 7)
    assert summary.as_of == "2024-06-01 00:00"
    assert summary.tables["fct_conversations"] == 12


def test_a_pipe_gets_plain_text_and_a_terminal_gets_tables(context: Context) -> None:
    plain = printed(context)
    assert "\x1b" not in plain
    assert "─" not in plain
    assert "─" in printed(context, force_terminal=True)
    for text in (
        "all sources        3    1,025",
        "opened_at is not a time (2); has [bold] brackets (1)",
        "Waited 1 h on [chat]",
        "before_survey: last training rejected: not better",
        "the first 5 of 7",
        str(context.home.published / "marts.duckdb"),
    ):
        assert text in plain


def test_before_the_first_publication_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="nothing is published yet"):
        run_summary(Context(Home(tmp_path), Settings(), SourceList()))


def test_a_registry_without_tables_or_file_has_no_champions(tmp_path: Path) -> None:
    assert champion_versions(f"sqlite:///{tmp_path}/none.db") == {}
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    assert champion_versions(f"sqlite:///{tmp_path}/empty.db") == {}
