"""Kind `rest` as its page describes it: the example as it stands there, run by the commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.carelake.sources.faulty_api import Listing, serving
from tests.commands import carelake, holding, rows

PAGE = Path(__file__).parents[3] / "docs" / "sources-rest.md"


def example(number: int) -> str:
    """A YAML block of the documentation, complete as it stands there."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    return blocks[number]


@pytest.fixture
def listing() -> Listing:
    """What the service of the page has."""
    return Listing("cursor", token="right-token").fill(23)


@pytest.fixture
def company(tmp_path: Path, listing: Listing) -> Iterator[dict[str, str]]:
    """The environment of a company whose one source is the example of the page."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    with serving(listing) as server:
        text = example(0).replace("https://api.shop.example", server.url)
        (tmp_path / "sources.yml").write_text(f"sources:\n{text}", encoding="utf-8")
        yield {
            **kept,
            "CARELAKE_HOME": str(tmp_path / "home"),
            "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
            "CARELAKE_PEPPER": "p",
            "AIRFLOW_CONN_SHOP": "http://x:right-token@127.0.0.1",
        }


def test_source_test_shows_records_as_they_would_land_and_keeps_nothing(
    company: dict[str, str], tmp_path: Path
) -> None:
    said = carelake("source", "test", "shop_tickets", env=company).stdout
    assert "5 records in 1 pages" in said and "5 rows, 0 rejects" in said
    assert said.count("communication_id") == 3 and "问题 1.1 😀" in said
    assert "customer1@example.org" in said
    assert not (tmp_path / "home").exists()


def test_source_test_says_in_one_line_what_is_wrong(company: dict[str, str]) -> None:
    wrong = {**company, "AIRFLOW_CONN_SHOP": "http://x:wr0ng@127.0.0.1"}
    said = carelake("source", "test", "shop_tickets", env=wrong, exit_code=1)
    assert said.stderr.startswith("shop_tickets: connection 'shop': http://127.0.0.1:")
    assert "401" in said.stderr and "wr0ng" not in said.stderr + said.stdout
    assert len(said.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_service_is_read_into_the_marts_by_the_yaml_of_the_page_alone(
    company: dict[str, str], listing: Listing, tmp_path: Path
) -> None:
    first = carelake("run", env=company, timeout=600).stdout
    assert "published" in first or "version 1" in first
    found = rows(
        "select count(*) as n, count(distinct customer_key) as people from fct_communications",
        company,
    )
    assert found == [{"n": 23, "people": 23}]
    account = rows("from source_runs", company)[0]
    assert account["n_physical"] == account["n_staged"] == 23
    assert account["n_pages"] > 1 and account["n_requests"] >= account["n_pages"]
    assert "nothing" in carelake("run", env=company, timeout=600).stdout

    # a field nobody mapped is kept and told of; a record that is marked as deleted goes
    for number in (1, 2):
        listing.write(number)
    listing.records[1]["mood"] = "angry"
    listing.records[2]["gone"] = True
    carelake("run", env=company, timeout=600)
    after = rows("from source_runs where batch_id is not null order by batch_id", company)[-1]
    assert "mood" in after["new_columns"] and after["n_deleted"] == 1
    found = rows(
        "select count(*) as n, sum((text_masked like '%1.2%')::int) as edited from fct_communications",
        company,
    )
    assert found == [{"n": 22, "edited": 1}]
    with duckdb.connect(str(tmp_path / "home" / "warehouse.duckdb"), read_only=True) as con:
        kept = con.execute(
            "select extra ->> 'mood' from raw.communications where extra like '%mood%'"
        )
        assert kept.fetchall() == [("angry",)]
    assert holding(tmp_path / "home", "right-token") == []


def test_a_kind_that_is_not_used_is_not_imported(tmp_path: Path) -> None:
    code = "import sys; import carelake.sources.extract, carelake.source_list; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {
        "dlt",
        "requests",
        "tenacity",
        "imapclient",
        "psycopg",
        "pymysql",
        "pymongo",
        "obstore",
        "paramiko",
    }
    assert not heavy & set(done.stdout.split())
