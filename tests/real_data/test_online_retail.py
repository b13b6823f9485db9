"""Half a million invoice lines of a year, held against what DuckDB counts in the file itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.real_data.conftest import RealRun

pytestmark = pytest.mark.slow

SOURCES = """
sources:
  - name: shop_invoices
    kind: files
    path: {file}
    format: parquet
    entity: order_lines
    columns:
      order_id: Invoice
      product_id: StockCode
      product_name: Description
      quantity: Quantity
      unit_price: Price
      ordered_at: InvoiceDate
      customer_id: Customer ID
      country: Country
    timezone: Europe/London
"""
LINES = 525_461
CUSTOMERS = 4_383
INVOICES = """
    with invoices as (
        select
            Invoice as invoice,
            max("Customer ID")::bigint as customer,
            count(*) as n_lines,
            sum(Quantity * Price::decimal(18, 4)) as amount,
            Invoice like 'C%' or sum(Quantity) < 0 or sum(Quantity * Price) < 0 as is_cancelled,
        from read_parquet($file) group by Invoice
    )
"""


@pytest.fixture(scope="module")
def invoices(shared_data: Path) -> Path:
    """The Parquet file."""
    return shared_data / "online_retail" / "online_retail_II_2009_2010.parquet"


@pytest.fixture(scope="module")
def shop(run_real: Callable[..., RealRun], invoices: Path) -> RealRun:
    """The run over the whole file."""
    return run_real(SOURCES.format(file=invoices))


def counted(invoices: Path, query: str) -> list[Any]:
    """What the file itself says."""
    with duckdb.connect() as con:
        return con.execute(INVOICES + query, {"file": str(invoices)}).fetchall()


def test_every_line_counts_once(shop: RealRun) -> None:
    account = shop.account()["shop_invoices"]
    assert account["physical"] == account["raw"] == account["staged"] == LINES
    assert shop.ask("select sum(n_lines)::integer from fct_orders") == [(LINES,)]


def test_orders_and_revenue_are_those_of_the_file(shop: RealRun, invoices: Path) -> None:
    found = shop.ask("""
        select is_cancelled, count(*), sum(amount)::double, count(customer_key),
            count(distinct customer_key)
        from fct_orders group by is_cancelled order by is_cancelled
    """)
    expected = counted(
        invoices,
        """
        select is_cancelled, count(*), sum(round(amount, 2))::double, count(customer),
            count(distinct customer)
        from invoices group by is_cancelled order by is_cancelled
        """,
    )
    assert found == [tuple(row) for row in expected]
    cancelled = counted(invoices, "select count(*) from invoices where invoice like 'C%'")
    assert found[1][1] >= cancelled[0][0] == 4_592


def test_customers_are_the_files_whatever_type_their_number_had(
    shop: RealRun, invoices: Path
) -> None:
    buyers = counted(
        invoices, "select count(distinct customer) filter (where not is_cancelled) from invoices"
    )[0][0]
    assert shop.ask("select count(*), count(*) filter (where n_orders > 0) from dim_customers") == [
        (CUSTOMERS, buyers)
    ]
    assert shop.ask("""
        select count(*) from customer_segments where segment_name = 'contact_only'
    """) == [(CUSTOMERS - buyers,)]
    # a number kept as 13085.0 would end in the same two characters everywhere
    assert shop.ask("select count(*) from dim_contact_points where value_masked like '%.0'") == [
        (0,)
    ]
    assert shop.ask("select count(distinct value_masked) from dim_contact_points")[0][0] == 100


def test_every_buyer_has_a_segment_and_more_loyal_ones_are_worth_more(shop: RealRun) -> None:
    assert shop.ask("""
        select count(*), count(segment_name) from dim_customers
    """) == [(CUSTOMERS, CUSTOMERS)]
    segments = shop.ask("""
        select segment_id, segment_name, count(*), avg(order_value)::double
        from customer_segments inner join dim_customers using (customer_key, segment_name)
        where segment_id > 0 group by all order by segment_id
    """)
    assert len(segments) >= 3
    values = [value for *_, value in segments]
    assert values == sorted(values, reverse=True)
    assert shop.ask("""
        select decision, challenger_value > 0.3 from model_decisions
        where model_name = 'customer_segments'
    """) == [("promoted", True)]


def test_wall_clock_times_are_read_in_their_zone(shop: RealRun, invoices: Path) -> None:
    # June is summer time in London: an hour ahead of UTC
    with duckdb.connect() as con:
        june = con.execute(
            "select min(InvoiceDate::timestamp) - interval 1 hour from read_parquet($file) "
            "where InvoiceDate >= '2010-06-01'",
            {"file": str(invoices)},
        ).fetchone()
    assert june is not None
    assert shop.ask("""
        select min(ordered_at)::timestamp::varchar from fct_orders
        where ordered_at >= timestamptz '2010-05-31 23:00:00+00'
    """) == [(str(june[0]),)]
