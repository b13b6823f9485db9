"""What a source says it has beside what we have: worked by hand, and through whole runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from carelake.source import Source
from carelake.source_list import SourceList
from carelake.warehouse.reconciliation import Reconciled, reconcile
from carelake.warehouse.schema import create_recorded_tables
from tests.carelake.sources.faulty_api import Listing, serving
from tests.carelake.sources.listings import a_source
from tests.commands import carelake, rows

AT = "2024-05-02T00:00:00+00:00"
ROWS = """
    -- id, batch, is_deleted, reason
    ('kept', 'b1', false, null), ('kept', 'b2', false, null),
    ('gone', 'b1', false, null), ('gone', 'b2', true, null),
    ('mended', 'b1', false, 'amount: no number'), ('mended', 'b2', false, null),
    ('broken', 'b1', false, null), ('broken', 'b2', false, 'amount: no number'),
    ('never sound', 'b2', false, 'amount: no number'), (null, 'b2', false, 'communication_id: missing'),
    ('only held', 'held', false, null), ('kept', 'held', false, null),
    ('later', 'b3', false, null)
"""


class Lake:
    """Stands in for a context: one source, its newest count, its typed rows."""

    def __init__(self, root: Path, mode: str) -> None:
        """Make the tables; nothing is compared yet."""
        data = {
            "name": "tickets", "kind": "files", "path": "x.csv", "format": "csv", "mode": mode,
            "entity": "communications", "columns": {"communication_id": "id"},
        }  # fmt: skip
        self.sources = SourceList(sources=[Source.model_validate(data)])
        self.home = self
        self.counts = root / "counts"
        self.counts.mkdir()
        self.con = duckdb.connect()
        create_recorded_tables(self.con)
        for day, (batch, status, rejects) in enumerate(
            [("b1", "loaded", 0), ("b2", "loaded", 2), ("held", "held", 0), ("b3", "loaded", 5)]
        ):
            self.con.execute(
                "insert into ops.ledger by name select ? as batch_id, 'tickets' as source_name, ? as status, "
                "timestamptz '2024-05-01 00:00:00+00' + to_hours(?) as extracted_at, ? as n_structural_rejects",
                [batch, status, day, rejects],
            )
        self.con.execute("create schema staging")
        self.con.execute(
            f"""
            create table staging.stg_communications__typed as
            select communication_id, batch_id, is_deleted, reason, 'tickets' as source_name, 'f' as file_name,
                row_number() over () as row_number, null::timestamptz as updated_at, ledger.extracted_at,
            from (values {ROWS}) as v (communication_id, batch_id, is_deleted, reason)
            inner join ops.ledger using (batch_id)
            """
        )

    def count(self, n_theirs: int) -> Reconciled:
        """The source says it has so many, when `held` was its newest batch."""
        said = {
            "source": "tickets", "at": AT, "batch_id": "held", "scope": "all", "n_theirs": n_theirs,
        }  # fmt: skip
        (self.counts / "tickets.json").write_text(json.dumps(said), encoding="utf-8")
        (found,) = reconcile(self.con, self)  # type: ignore[arg-type]
        assert reconcile(self.con, self) == []  # type: ignore[arg-type]
        return found


def test_every_record_is_counted_once_as_it_stood_when_the_source_was_counted(
    tmp_path: Path,
) -> None:
    found = Lake(tmp_path, "append").count(8)
    # ours: kept, mended, broken (its older version is sound); theirs beyond: two ids, two shapeless
    assert (found.n_ours, found.n_deleted, found.n_held) == (3, 1, 1)
    assert found.n_quarantined == 2 + 2
    assert found.n_unexplained == 8 - 3 - 4 - 1 == 0
    assert found.explanation == "4 in the quarantine; 1 in held batches"


@pytest.mark.parametrize(
    ("theirs", "unexplained", "said"),
    [(3, 0, "equal"), (2, -1, "1 are gone there"), (10, 2, "2 we never got")],
)
def test_what_is_left_of_the_difference_is_named(
    theirs: int, unexplained: int, said: str, tmp_path: Path
) -> None:
    found = Lake(tmp_path, "append").count(theirs)
    assert found.n_unexplained == unexplained
    assert said in found.explanation


def test_of_a_snapshot_only_the_newest_counts(tmp_path: Path) -> None:
    found = Lake(tmp_path, "snapshot").count(2)
    assert (found.n_ours, found.n_quarantined, found.n_held) == (0, 0, 2)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Listing, dict[str, str]]]:
    """A service that says how many records it has, and a company that reads it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    listing = Listing("offset", total=True).fill(23)
    with serving(listing) as server:
        source = a_source(server.url, "offset").model_dump(
            mode="json", exclude_defaults=True, exclude_none=True
        )
        source["rest"]["pages"] = {"by": "offset", "limit": 5, "total": "total"}
        (tmp_path / "sources.yml").write_text(json.dumps({"sources": [source]}), encoding="utf-8")
        yield (
            listing,
            {
                **kept,
                "CARELAKE_HOME": str(tmp_path / "home"),
                "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
                "CARELAKE_PEPPER": "p",
            },
        )


@pytest.mark.slow
def test_a_service_is_counted_after_it_was_read_and_the_difference_explained(
    service: tuple[Listing, dict[str, str]], tmp_path: Path
) -> None:
    listing, company = service
    carelake("run", env=company, timeout=600)
    mart = "select n_theirs, n_ours, n_quarantined, n_unexplained, explanation from source_reconciliation"
    first = {
        "n_theirs": 23,
        "n_ours": 23,
        "n_quarantined": 0,
        "n_unexplained": 0,
        "explanation": "equal",
    }
    assert rows(mart, company) == [first]

    # one broken, and one that comes with a time long past
    listing.fill(2)
    listing.records[24]["updated_at"] = "2099-99-99"
    listing.write(30)
    listing.records[30]["updated_at"] = "2020-01-01T00:00:00Z"
    assert carelake("run", env=company, timeout=600)
    assert rows(mart, company) == [first], "counted once a day"

    shutil.rmtree(tmp_path / "home" / "state" / "counts")
    listing.fill(1)
    carelake("run", env=company, timeout=600)
    newest = rows(f"{mart} order by counted_at desc limit 1", company)[0]
    never = "1 in the quarantine; 1 we never got: read them with `carelake extract tickets --since TIME`"
    assert newest == {
        "n_theirs": 27, "n_ours": 25, "n_quarantined": 1, "n_unexplained": 1, "explanation": never,
    }  # fmt: skip
