"""On real labelled rows the models keep their limits. `make accuracy` runs this; else it takes too long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

DATA = PROJECT.parent / "shared" / "data"
LIMITS = [
    ("csat_shopzilla", "csat_before_survey", {"auc": 0.70}),
    ("csat_shopzilla", "csat_with_remark", {"auc": 0.79, "macro_f1": 0.69}),
    ("twitter_airline", "twitter_airline", {"macro_f1": 0.77}),
    ("waimai", "waimai", {"accuracy": 0.905}),
]


@pytest.mark.campaign
@pytest.mark.parametrize(("folder", "mapping", "limits"), LIMITS)
def test_five_folds_keep_the_limits(
    folder: str, mapping: str, limits: dict[str, float], tmp_path: Path
) -> None:
    file = DATA / folder / f"{folder}_dev.csv.gz"
    if not file.exists():
        pytest.skip(f"the real rows of {folder} are not at hand")
    target = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.satisfaction", str(file), "--folds", "5"]
    command += ["--mapping", f"benchmarks/mappings/{mapping}.yml", "--json", str(target)]
    subprocess.run(command, cwd=PROJECT, check=True)
    found = json.loads(target.read_text(encoding="utf-8"))
    print(mapping, found)
    for name, least in limits.items():
        assert found[name] >= least, f"{name} {found[name]}, at least {least} asked"


@pytest.mark.campaign
def test_scoring_keeps_its_share_of_the_bare_speed_and_its_memory(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.scoring",
        "--rows",
        "200000",
        "--json",
        str(target),
    ]
    done = subprocess.run(command, cwd=PROJECT, check=False)
    found = json.loads(target.read_text(encoding="utf-8"))
    print(found)
    assert done.returncode == 0, "less than 0.7 of the bare throughput"
    assert len(found["models"]) == 3
    for each in found["models"].values():
        (part,) = [value for name, value in each.items() if name.startswith("peak_mb_of_")]
        assert each["peak_mb"] < part + 150, "four times the rows do not take more memory"
