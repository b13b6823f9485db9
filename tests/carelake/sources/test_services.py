"""Kinds whose block stands for several sources: each as its page describes it, over a socket."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from carelake.cli import app
from carelake.landing import manifests
from carelake.sources.counting import counter
from carelake.warehouse.schema import raw_columns
from tests.carelake.sources.faulty_api import ANSWERS, BODIES, Service, serving
from tests.carelake.sources.live import dynamics
from tests.carelake.sources.services import KINDS, Company, newest_of, ordered
from tests.commands import holding

FAULTS = (*ANSWERS, *BODIES, "expired", "vanished")


N_COUNTED = {
    "salesforce": 6,
    "zoho": 4,
    "dynamics": 0,
    "zendesk": 2,
    "intercom": 2,
    "twilio": 0,
    "x": 0,
    "chatwoot": 2,
    "wecom_kf": 0,
    "wechat_oa": 0,
    "facebook": 0,
}
"""How many objects the service counts exactly."""


LATER: dict[str, dict[str, Any]] = {
    dynamics.GONE: {"conversation_id": dynamics.GONE, "updated_at": "LANDED", "is_deleted": "true"},
}
"""Rows that are others after a second reading, by id."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries."""
    monkeypatch.setattr("carelake.sources.patience._Pause.__call__", lambda self, state: 0.0)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind."""
    return str(request.param)


@pytest.fixture
def service(kind: str) -> Iterator[Service]:
    """Its service, listening."""
    made = KINDS[kind].service()
    with serving(made):
        yield made


@pytest.fixture
def company(
    kind: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Company:
    """Its block of the documentation on that service."""
    return Company(kind, tmp_path, service.url, monkeypatch)


def test_the_block_of_the_page_brings_the_rows_worked_out_by_hand(
    kind: str, company: Company
) -> None:
    results = company.extract()
    assert {result.outcome for result in results} <= {"extracted", "nothing_new"}, results
    company.load()
    found, expected = ordered(company.rows()), ordered(KINDS[kind].expected)
    assert found == expected
    assert {result.outcome for result in company.extract()} == {"nothing_new"}


@pytest.mark.parametrize(
    "seeds", [range(1), pytest.param(range(1, 6), marks=pytest.mark.slow)], ids=["one", "five"]
)
def test_faults_lose_and_double_nothing(
    kind: str, seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every fault there is, at random requests; what fails is read again by the next run."""
    for seed in seeds:
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        made = KINDS[kind].service()
        made.faults = {n: chance.choice(FAULTS) for n in range(200) if chance.random() < 0.25}
        made.slow_seconds = 0.0
        with serving(made):
            company = Company(kind, folder, made.url, monkeypatch)
            company.extract()
            made.faults = {}
            results = company.extract()
            assert {r.outcome for r in results} <= {"extracted", "nothing_new"}, (seed, results)
            company.load()
        expected = {t: newest_of(t, found) for t, found in KINDS[kind].expected.items()}
        assert ordered(company.rows(newest=True)) == ordered(expected), seed


def test_a_later_reading_brings_what_was_changed_merged_and_deleted(
    kind: str, company: Company, service: Any
) -> None:
    service.before()
    company.extract()
    service.after()
    later = {result.source: result.outcome for result in company.extract()}
    assert "extracted" in later.values() and "failed" not in later.values(), later
    company.load()
    expected = {
        table: [LATER.get(row[raw_columns(table)[0]], row) for row in newest_of(table, rows_of)]
        for table, rows_of in KINDS[kind].expected.items()
    }
    assert ordered(company.rows(newest=True)) == ordered(expected)


def test_a_place_that_the_service_forgot_is_no_end(company: Company, service: Any) -> None:
    """What is kept for us between two runs may be gone: then all is read anew."""
    service.before()
    company.extract()
    service.forget_places()
    service.after()
    assert "failed" not in {result.outcome for result in company.extract()}


def test_what_was_landed_is_what_the_service_said_and_holds_no_secret(
    company: Company, service: Service
) -> None:
    company.extract()
    company.load()
    assert service.tokens <= 1, "the sources of a block share one token"
    kept = company.ctx.home.renewed_secrets
    for secret in ("s3cret", service.token):
        if secret:
            found = [
                path for path in holding(company.ctx.home.root, secret) if kept not in path.parents
            ]
            assert found == [], secret
    for path in kept.rglob("*.json") if kept.exists() else []:
        assert path.stat().st_mode & 0o077 == 0
    for manifest in manifests(company.ctx.home.landing):
        assert not manifest.damage(company.ctx.home.landing)


def test_what_is_no_record_is_set_aside_with_its_reason_and_the_others_come(
    kind: str, company: Company, service: Service
) -> None:
    """Records without an id, with other types than expected, and things that are no object."""
    spoil = getattr(service, "spoil", None)
    if spoil is None:
        pytest.skip("its records cannot be spoilt")
    n_spoilt = spoil()
    company.extract()
    company.load()
    with duckdb.connect(str(company.ctx.home.warehouse), read_only=True) as con:
        rejects = con.execute("select count(*) from ops.structural_rejects").fetchone()
    assert rejects == (n_spoilt,)
    ids = {t: {r.get(raw_columns(t)[0]) for r in rows} for t, rows in company.rows().items()}
    for table, wanted in KINDS[kind].expected.items():
        assert {row[raw_columns(table)[0]] for row in wanted} <= ids[table]
        assert None in ids[table] or table not in getattr(service, "spoilt", [])


def test_its_own_count_equals_ours_where_it_counts(kind: str, company: Company) -> None:
    company.extract()
    company.load()
    n_counted = 0
    for source in company.ctx.sources.sources:
        count = counter(source)
        counted = count(source, company.ctx.config_dir) if count else None
        if counted is None:
            continue
        n_counted += 1
        with duckdb.connect(str(company.ctx.home.warehouse), read_only=True) as con:
            gone = "or merged_into is not null" if source.entity == "customers" else ""
            row = con.execute(
                f"select count(*) filter (not (coalesce(is_deleted, '') = 'true' {gone})) "
                f"from raw.{source.raw_table} where source_name = ?",
                [source.name],
            ).fetchone()
        assert row == (counted.n_theirs,), source.name
    assert n_counted == N_COUNTED[kind]


def test_source_test_tries_every_object_of_a_block_and_keeps_nothing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command, which says what each would bring, and which one cannot be read."""
    root = company.ctx.config_dir
    monkeypatch.setenv("CARELAKE_SOURCES", str(root / "sources.yml"))
    monkeypatch.setenv("CARELAKE_HOME", str(root / "none"))
    block = company.ctx.sources.blocks[0].name
    done = CliRunner().invoke(app, ["source", "test", block])
    assert done.exit_code == 0, done.output
    said = done.output
    for source in company.ctx.sources.sources:
        assert f"\n{source.name}: " in f"\n{said}", said
    assert " 0 rejects" in said and "could not be counted" not in said
    assert not (root / "none" / "landing").exists()
