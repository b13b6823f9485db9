"""The sum of increments is what one full refresh gives, whatever arrives, late, twice or corrected."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.dbt_project.conftest import Batch, Dbt, company, load_batch, write_warehouse

BUILD = ("run",)
AGAIN = ("run", "--no-write-json", "--exclude", "config.materialized:view")
"""As the product builds what it has built before: views are there already."""
BELOW_THE_MARTS = (
    "--select",
    "path:models/staging",
    "path:models/intermediate",
    "path:models/features",
    "path:models/mart_parts",
    "dim_agents",
)
"""All models that remember, and what they are made of; a mart is made whole from these."""
HOW_NUMBERS_ARE_READ = "intermediate.int_phone_numbers"
"""Keeps what it once worked out, also of numbers that are gone; nothing is counted from it."""
PARTS = 20
"""Of the two hundred histories: a campaign of hours may be made in several sittings."""
MOMENTS = [
    dt.datetime(2024, 5, day, hour, tzinfo=dt.UTC) for day in (1, 9, 10, 30) for hour in (1, 13)
]
IDS = ["m1", "m2", "m3"]


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_messages = st.fixed_dictionaries(
    {"communication_id": st.sampled_from([*IDS, "k1", "x1"])},
    optional={
        "conversation_id": st.sampled_from(["s1", "s2", "case1"]),
        "in_reply_to": st.sampled_from(IDS),
        "direction": st.sampled_from(["in", "out", "sideways"]),
        "handle": st.sampled_from(["anna_k", "@zoe", "shop_care"]),
        "email": st.sampled_from(["anna@example.org", "new@example.org"]),
        "phone": st.sampled_from(["138 0013 8000", "13900139000"]),
        "customer_id": st.sampled_from(["c1", "c2", "c7"]),
        "agent": st.sampled_from(["801", "Tom Ash", "nobody yet"]),
        "body": st.sampled_from(["hello", "where is it", "谢谢"]),
        "status": st.sampled_from(["closed", "open"]),
        "sent_at": st.sampled_from([*map(_time, MOMENTS), "31/02/2024"]),
        "updated_at": st.sampled_from([_time(m) for m in MOMENTS[-2:]]),
        "is_deleted": st.just("yes"),
        "survey_score": st.sampled_from(["1", "5", "7"]),
    },
)
_customers = st.fixed_dictionaries(
    {"customer_id": st.sampled_from(["c1", "c2", "c7"])},
    optional={
        "email": st.sampled_from(["anna@example.org", "new@example.org"]),
        "phone": st.sampled_from(["138 0013 8000", "+49 30 901820"]),
        "handle": st.sampled_from(["anna_k", "zoe"]),
        "age": st.sampled_from(["30", "410"]),
        "customer_name": st.just("Someone"),
    },
)
_cases = st.fixed_dictionaries(
    {"conversation_id": st.sampled_from(["case1", "s1"])},
    optional={
        "customer_id": st.sampled_from(["c1", "c7"]),
        "channel": st.sampled_from(["phone", "email", "fax"]),
        "status": st.sampled_from(["closed", "open"]),
        "agent": st.just("802"),
        "opened_at": st.sampled_from([_time(m) for m in MOMENTS]),
        "closed_at": st.just(_time(MOMENTS[-1])),
        "survey_score": st.sampled_from(["2", "4"]),
    },
)
_orders = st.fixed_dictionaries(
    {"order_id": st.sampled_from(["o1", "o77"]), "customer_id": st.sampled_from(["c1", "c7"])},
    optional={"amount": st.sampled_from(["10", "-4", "x"]), "ordered_at": st.just(_time(MOMENTS[0])),
              "status": st.just("cancelled"), "updated_at": st.sampled_from([_time(m) for m in MOMENTS])},
)  # fmt: skip
_answers = st.fixed_dictionaries(
    {"survey_id": st.sampled_from(["v2", "v77"]), "survey_score": st.sampled_from(["1", "5"])},
    optional={"customer_id": st.sampled_from(["c1", "c2"]), "conversation_id": st.sampled_from(["k1", "case1"]),
              "responded_at": st.just(_time(MOMENTS[0])), "updated_at": st.sampled_from([_time(m) for m in MOMENTS])},
)  # fmt: skip
_agents = st.fixed_dictionaries(
    {"agent_id": st.sampled_from(["a1", "a3"])}, optional={"agent_name": st.just("nobody yet"), "phone": st.just("801")}
)  # fmt: skip
SOURCES = {
    "chats": ("communications", _messages), "social": ("communications", _messages),
    "calls": ("communications", _messages), "notes": ("communications", _messages),
    "crm_contacts": ("customers", _customers), "crm_cases": ("conversations", _cases),
    "shop": ("orders", _orders), "staff": ("agents", _agents),
    "surveys": ("survey_responses", _answers),
}  # fmt: skip


@st.composite
def _batches(draw: st.DrawFn) -> Batch:
    source = draw(st.sampled_from(sorted(SOURCES)))
    table, rows = SOURCES[source]
    moment = draw(
        st.sampled_from([dt.datetime(2024, month, 1, tzinfo=dt.UTC) for month in (4, 6, 7)])
    )
    number = draw(st.integers(0, 10**6))
    return Batch(
        source, table, _time(moment), draw(st.lists(rows, min_size=1, max_size=4)),
        file=draw(st.sampled_from(["file.csv", "other.csv"])),
        status=draw(st.sampled_from(["loaded", "loaded", "held"])), batch_id=f"{source}-{number}",
    )  # fmt: skip


_steps = st.lists(
    st.one_of(
        _batches(),
        st.tuples(st.sampled_from(["released", "discarded", "held"]), st.integers(0, 30)),
        st.tuples(st.just("replay"), st.integers(0, 30), st.lists(_messages, max_size=3)),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    runner = Dbt(tmp_path_factory.mktemp("increments"))
    write_warehouse(runner.warehouse, company())
    runner(*BUILD)
    runner.warehouse.rename(runner.warehouse.with_suffix(".built"))
    yield runner


def _perform(dbt: Dbt, step: Any) -> None:
    with duckdb.connect(str(dbt.warehouse)) as con:
        con.execute("set TimeZone = 'UTC'")
        known = con.execute("select batch_id, entity from ops.ledger order by batch_seq").fetchall()
        if isinstance(step, Batch):
            if step.batch_id not in {batch for batch, _ in known}:
                load_batch(con, step)
            return
        batch_id, entity = known[step[1] % len(known)]
        if step[0] != "replay":
            con.execute("update ops.ledger set status = ? where batch_id = ?", [step[0], batch_id])
        elif entity == "communications":
            load_batch(con, Batch("chats", entity, "", step[2], batch_id=batch_id), again=True)


def _increments_equal_a_full_refresh(
    dbt: Dbt, builds: list[Any], select: tuple[str, ...] = (), schemas: tuple[str, ...] = ("marts",)
) -> None:
    shutil.copyfile(dbt.warehouse.with_suffix(".built"), dbt.warehouse)
    for steps in builds:
        for step in steps:
            _perform(dbt, step)
        dbt(*AGAIN, *select)
    grown = dbt.fingerprint(*schemas)
    dbt(*AGAIN, *select, "--full-refresh")
    whole = dbt.fingerprint(*schemas)
    for tables in (grown, whole):
        tables.pop(HOW_NUMBERS_ARE_READ, None)
    assert grown == whole


_builds = st.lists(_steps, min_size=1, max_size=2)
_quiet = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@settings(_quiet, max_examples=5)
@given(builds=_builds)
def test_increments_give_what_a_full_refresh_gives(builder: Dbt, builds: list[Any]) -> None:
    _increments_equal_a_full_refresh(builder, builds, BELOW_THE_MARTS, ("intermediate", "features"))


def test_only_models_below_the_marts_remember(builder: Dbt) -> None:
    """What the test above leaves out has nothing to remember."""
    found = builder.remembering()
    assert found and not [path for path in found if "/marts/" in path]


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(PARTS))
def test_two_hundred_histories_give_what_a_full_refresh_gives(builder: Dbt, part: int) -> None:
    journal = Path(os.environ.get("INCREMENTS_JOURNAL") or os.devnull)
    if journal.exists() and str(part) in journal.read_text(encoding="utf-8").split():
        pytest.skip("done before, says the journal")

    @seed(part)
    @settings(_quiet, derandomize=False, max_examples=200 // PARTS)
    @given(builds=_builds)
    def histories(builds: list[Any]) -> None:
        _increments_equal_a_full_refresh(builder, builds)

    histories()
    with journal.open("a", encoding="utf-8") as done:
        done.write(f"{part}\n")
