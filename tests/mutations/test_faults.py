from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.__main__ import PROJECT, put_in
from tests.mutations.faults import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.words)
def test_every_fault_of_the_mutation_check_can_still_be_made(fault: Fault, tmp_path: Path) -> None:
    sound = (PROJECT / "dbt_project" / fault.file).read_text(encoding="utf-8")
    (tmp_path / "model.sql").write_text(sound, encoding="utf-8")
    put_in(tmp_path / "model.sql", fault)
    assert (tmp_path / "model.sql").read_text(encoding="utf-8") != sound
