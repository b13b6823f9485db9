from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.acts import Outcome
from tests.chaos.inspection import differences, litter
from tests.chaos.journal import Journal
from tests.chaos.plan import KINDS, plan
from tests.chaos.runs import STEPS

ACCOUNT = {
    "batch_id": "a-000001", "n_physical": 10, "n_structural_rejects": 1, "n_raw": 9, "n_staged": 5,
    "n_rejected": 1, "n_duplicates": 1, "n_superseded": 1, "n_deleted": 1, "n_held": 0,
}  # fmt: skip
HOME: dict[str, Any] = {
    "fingerprint": {"dim_customers": {"rows": 1, "sum": "7"}},
    "accounts": [ACCOUNT],
    "models": {"champions": {"before_survey": ["1", "abc"]}, "faults": []},
    "litter": [],
}


def test_an_equal_home_differs_in_nothing() -> None:
    assert differences(HOME, copy.deepcopy(HOME)) == []


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("fingerprint", {"dim_customers": {"rows": 1, "sum": "8"}}, "mart dim_customers differs"),
        ("fingerprint", {}, "mart dim_customers differs"),
        ("accounts", [{**ACCOUNT, "n_staged": 4}], "a-000001: rows loaded are not"),
        ("accounts", [{**ACCOUNT, "n_physical": 11}], "a-000001: records read are neither"),
        ("accounts", [], "the accounts of the batches differ"),
        ("models", {"champions": {}, "faults": []}, "champions {} instead of"),
        ("models", {**HOME["models"], "faults": ["half done"]}, "model: half done"),
        ("litter", ["ml/x.part"], "left behind: ml/x.part"),
    ],
)
def test_whatever_differs_is_told(part: str, value: Any, said: str) -> None:
    assert any(said in told for told in differences(HOME, {**HOME, part: value}))


def test_unfinished_work_is_litter_and_finished_work_is_not(tmp_path: Path) -> None:
    whole = ("landing/a/a-000001/manifest.json", "ml/scores/d/receipt.json",
             "published/versions/000001/publication.json", "landing/a/.lock")  # fmt: skip
    left = ("landing/a/a-000002/data.csv", "ml/scores/e/x.partial", "tmp/tmp1/x.clean.csv",
            "published/versions/000002.part/marts.duckdb", "state/extracts/.a.part")  # fmt: skip
    for name in (*whole, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert litter(tmp_path) == [
        "landing/a/a-000002", "ml/scores/e", "ml/scores/e/x.partial", "published/versions/000002.part",
        "state/extracts/.a.part", "tmp/tmp1",
    ]  # fmt: skip


def test_the_same_seed_plans_the_same_and_every_kind_and_step_has_its_share() -> None:
    planned = plan(1, 200, list(KINDS), list(STEPS))
    assert (
        planned == plan(1, 200, list(KINDS), list(STEPS)) != plan(2, 200, list(KINDS), list(STEPS))
    )
    assert len(planned) == 200
    kills = [d for d in planned if d.kind == "kill -9"]
    assert {d.step for d in kills} == set(STEPS)
    for kind in KINDS:
        assert sum(d.kind == kind for d in planned) >= 10


def test_a_stopped_campaign_goes_on_and_another_ones_journal_is_refused(tmp_path: Path) -> None:
    planned = plan(1, 20, list(KINDS), list(STEPS))
    path = tmp_path / "journal"
    Journal(path, planned).add(3, Outcome(planned[3], True, ["wrong"], [], 1.5))
    again = Journal(path, planned)
    assert again.outcomes() == [Outcome(planned[3], True, ["wrong"], [], 1.5)]
    with pytest.raises(SystemExit, match="another campaign"):
        Journal(path, plan(2, 20, list(KINDS), list(STEPS)))
