"""The owner's two files in a home of their own: five lines of mapping each, no times anywhere."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.settings import Settings
from tests.commands import carelake
from tests.real_data.conftest import RealRun

pytestmark = pytest.mark.slow

SOURCES = """
sources:
  - name: communication_records
    kind: files
    path: customer_communication_records.csv
    format: csv
    entity: communications
    columns:
      channel: channel
      body: communication_content
      survey_score: customer_satisfaction
  - name: customer_data
    kind: files
    path: customer_data.json
    format: json
    entity: customers
    columns:
      customer_id: id
      age: age
      gender: gender
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The two files as `carelake sample` writes them."""
    company = tmp_path_factory.mktemp("owner") / "company"
    carelake("sample", str(company), "--customers", "2000", env=os.environ)
    names = ("customer_communication_records.csv", "customer_data.json")
    return [company / "inbox" / "owner" / name for name in names]


@pytest.fixture(scope="module")
def owner(run_real: Callable[..., RealRun], files: list[Path]) -> RealRun:
    """The run over both, away from the rest of the sample."""
    return run_real(SOURCES, files=files)


def test_both_files_are_accounted_for(owner: RealRun, files: list[Path]) -> None:
    with files[0].open(encoding="utf-8", newline="") as file:
        records = sum(1 for _ in csv.reader(file)) - 1
    customers = len(json.loads(files[1].read_text(encoding="utf-8")))
    account = owner.account()
    assert account["communication_records"]["physical"] == records
    assert account["customer_data"]["physical"] == customers
    assert owner.ask("select count(*), count(sent_at) from fct_communications") == [
        (account["communication_records"]["staged"], 0)
    ]
    assert owner.ask("""
        select count(*), count(distinct gender), min(age) >= 0 and max(age) <= 120
        from dim_customers
    """) == [(account["customer_data"]["staged"], 2, True)]


def test_without_times_the_split_is_random_and_the_decision_says_by_which_seed(
    owner: RealRun,
) -> None:
    split, decision, baseline, challenger = owner.ask("""
        select split, decision, baseline_value::double, challenger_value::double
        from model_decisions where model_name = 'before_survey'
    """)[0]
    print(f"ROC AUC {challenger:.3f}, the owner's recipe {baseline:.3f}: {split}")
    seed = Settings().random_seed
    assert split == f"random by key with seed {seed}: rows have no times"
    assert decision == "promoted"
    assert challenger > baseline
    assert split in owner.output


def test_every_conversation_has_a_score(owner: RealRun) -> None:
    found = owner.ask("""
        select count(*), count(p_satisfied), count(*) filter (where p_satisfied not between 0 and 1)
        from fct_conversations left join satisfaction_predictions using (conversation_key)
    """)[0]
    assert found[0] == found[1] > 300
    assert found[2] == 0


def test_customers_who_never_ordered_are_contact_only(owner: RealRun) -> None:
    assert owner.ask("""
        select reason from model_decisions
        where model_name = 'customer_segments' and decision = 'refused'
    """) == [("0 customers with orders, 40 are needed to find segments",)]
    assert owner.ask("""
        select count(*) filter (where segment_name is distinct from 'contact_only')
        from dim_customers
    """) == [(0,)]
