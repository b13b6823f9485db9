"""What is exported is what is published: counts and sums, read back by the file's own reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from tableauhyperapi import Connection, HyperProcess, Telemetry

from carelake.errors import ConfigError, RunFailed
from carelake.reports import export
from carelake.settings import Context
from carelake.warehouse.publish import publish
from tests import small_marts

QUERY = """
    select count(*), count(amount), sum(amount), sum(yes), min(moment), max(length(text)), min(text)
    from (select amount, case when yes then 1 else 0 end as yes, moment, text from {}) as t
"""


@pytest.fixture
def ctx(make_context: Callable[..., Context]) -> Context:
    ctx = make_context("sources: []", settings="parquet_month_from: 10")
    small_marts.make(ctx)
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute(
            """
            create table marts.fct_orders as select 'o' || range as order_key,
                timestamptz '2024-01-20 00:00:00.5+00' + to_days(range::integer) as ordered_at from range(90);
            create table marts.odd as select (range / 7.0)::decimal(18, 6) as amount, range % 3 = 0 as yes,
                timestamptz '2024-01-31 23:59:59.123456+00' as moment, '退款 😀' || range as text,
                ['a', 'b'] as list, json_object('k', '值') as attributes, 1.5::double as ratio,
                date '2024-02-29' as "day", null::varchar as nothing, 1 as "select" from range(300)
            """
        )
    publish(ctx)
    return ctx


def test_a_tableau_file_has_a_table_per_mart_with_the_same_counts_and_sums(
    ctx: Context, tmp_path: Path
) -> None:
    target = tmp_path / "marts.hyper"
    rows = export.export_hyper(ctx.home, target)
    assert rows == {
        "fct_orders": 90, "notes": 2001, "replies": 2001, "odd": 300, "publication": 1,
    }  # fmt: skip
    with duckdb.connect(str(ctx.home.published / "marts.duckdb"), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        moment = "replace (moment at time zone 'UTC' as moment)"
        ours = con.execute(QUERY.format(f"(select * {moment} from odd)")).fetchall()[0]
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as hyper,
        Connection(hyper.endpoint, target) as con,
    ):
        names = {str(name.name.unescaped) for name in con.catalog.get_table_names("marts")}
        theirs = con.execute_list_query(QUERY.format('"marts"."odd"'))[0]
        odd = con.execute_list_query(
            'select list, attributes, "day", "select" from marts.odd limit 1'
        )[0]
    assert names == set(rows)
    assert [str(value) for value in theirs] == [str(value) for value in ours]
    assert odd[:2] == ['["a","b"]', '{"k":"值"}'] and str(odd[2]) == "2024-02-29"


def test_an_export_that_differs_takes_no_name(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = export._copy

    def damaged(con: object, connection: Connection, mart: export.Mart, path: Path) -> None:
        copy(con, connection, mart, path)
        if mart.name == "odd":
            connection.execute_command(
                "update marts.odd set amount = amount + 1 where \"text\" like '%7'"
            )

    monkeypatch.setattr(export, "_copy", damaged)
    with pytest.raises(RunFailed, match="audit: odd: amount sum"):
        export.export_hyper(ctx.home, tmp_path / "marts.hyper")
    assert not list(tmp_path.glob("*.hyper")) and not list(tmp_path.glob(".carelake-*"))


def test_parquet_is_handed_on_whole_also_where_a_mart_is_a_folder_by_month(
    ctx: Context, tmp_path: Path
) -> None:
    rows = export.export_parquet(ctx.home, tmp_path / "handover")
    assert (tmp_path / "handover" / "fct_orders.parquet").is_dir()
    for name, count in rows.items():
        path = tmp_path / "handover" / f"{name}.parquet"
        files = f"{path}/*/*.parquet" if path.is_dir() else str(path)
        assert duckdb.read_parquet(files).count("*").fetchone() == (count,)
    with pytest.raises(ConfigError, match="is there already"):
        export.export_parquet(ctx.home, tmp_path / "handover")


def test_a_wrong_name_or_folder_is_refused(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.hyper"):
        export.export_hyper(ctx.home, tmp_path / "marts.tde")
    with pytest.raises(ConfigError, match="no folder that can be written"):
        export.export_parquet(ctx.home, tmp_path / "absent" / "x")
