"""Same arguments, same bytes: on any machine, at any time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carelake.sample import write_bulk, write_sample

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
from carelake.sample import write_bulk, write_sample
write_sample(Path(sys.argv[1]) / "sample", customers=20, days=40, seed=3)
write_bulk(Path(sys.argv[1]) / "bulk", 3_000, seed=3)
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_processes_with_other_hash_seed_zone_and_locale_write_the_same_bytes(
    tmp_path: Path,
) -> None:
    written = []
    surroundings = (("0", "America/New_York", "C"), ("4711", "Asia/Kolkata", "C.UTF-8"))
    for number, (hash_seed, zone, locale) in enumerate(surroundings):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = {
            "PYTHONHASHSEED": hash_seed,
            "TZ": zone,
            "LC_ALL": locale,
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            env={**os.environ, **given},
            check=True,
            cwd=tmp_path,
        )
        written.append(digests(folder))
    assert len(written[0]) > 25
    assert written[0] == written[1]


def test_another_seed_is_another_company(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sample(tmp_path / str(seed), customers=20, days=30, seed=seed)
    one, other = digests(tmp_path / "1"), digests(tmp_path / "2")
    same = {name for name in one.keys() & other.keys() if one[name] == other[name]}
    assert same == {"carelake.yml", "sources.yml"}


def test_people_stay_who_they_are_when_the_company_grows(tmp_path: Path) -> None:
    for customers in (10, 12):
        write_sample(tmp_path / str(customers), customers=customers, days=14)
    small, large = (
        (tmp_path / str(customers) / "truth/customers.jsonl").read_text("utf-8").splitlines()
        for customers in (10, 12)
    )
    names = [[line.split('"language"')[0] for line in lines] for lines in (small, large)]
    assert names[0] == names[1][:10]


def test_a_smaller_sample_leaves_no_file_of_the_larger_one(tmp_path: Path) -> None:
    write_sample(tmp_path / "again", customers=12, days=100)
    write_sample(tmp_path / "again", customers=10, days=14)
    write_sample(tmp_path / "fresh", customers=10, days=14)
    assert digests(tmp_path / "again") == digests(tmp_path / "fresh")


def test_a_source_list_of_someone_else_is_never_overwritten(tmp_path: Path) -> None:
    own = tmp_path / "sources.yml"
    own.write_text("sources: []\n")
    with pytest.raises(ValueError, match=r"sources\.yml"):
        write_sample(tmp_path, customers=10, days=14)
    with pytest.raises(ValueError, match=r"sources\.yml"):
        write_bulk(tmp_path, 1_000)
    assert own.read_text() == "sources: []\n"


@pytest.mark.parametrize(("customers", "days"), [(5, 7), (20, 30)])
def test_small_samples_are_whole(tmp_path: Path, customers: int, days: int) -> None:
    summary = write_sample(tmp_path, customers=customers, days=days)
    assert summary.customers == customers
    assert {"crm_contacts", "web_chat", "orders", "agents"} <= summary.records.keys()


def test_too_few_customers_or_days_are_refused(tmp_path: Path) -> None:
    for customers, days in ((4, 30), (30, 6)):
        with pytest.raises(ValueError, match="at least"):
            write_sample(tmp_path, customers=customers, days=days)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    write_sample(tmp_path, customers=5, days=7, progress=lambda _, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0
