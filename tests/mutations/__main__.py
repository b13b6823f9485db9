"""`python -m tests.mutations`: break one model at a time, and see that a test fails each time.

Each fault is put into a copy of the tree. There the unit tests of the models run, on tables that sound
models have made of the hand-made company, and where none of them fails the fast tests of the dbt project.
The table goes to docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.dbt_project.conftest import Dbt, company, write_warehouse
from tests.mutations.faults import FAULTS, Fault

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "reliability.md"
FIRST, LAST = "<!-- mutations -->\n", "<!-- /mutations -->"
TREES = ("carelake", "custom", "dbt_project", "docs", "examples", "expectations", "ml", "tests")


def main() -> int:
    """Run every fault; 0 when each was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--write", action="store_true", help="the table, into docs/reliability.md")
    given = parser.parse_args()
    seen = []
    with tempfile.TemporaryDirectory(prefix="carelake-sound-") as sound:
        build(Path(sound))
        for number, fault in enumerate(FAULTS, start=1):
            with tempfile.TemporaryDirectory(prefix="carelake-mutation-") as folder:
                test = first_failure(Path(folder), fault, Path(sound))
            seen.append(test)
            print(f"{number}/{len(FAULTS)} {fault.words}: {test or 'NOT SEEN'}", flush=True)
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
        _, _, after = rest.partition(LAST)
        PAGE.write_text(before + FIRST + table(seen) + LAST + after, encoding="utf-8")
    print(f"{sum(map(bool, seen))} of {len(FAULTS)} faults were seen by a test")
    return 0 if all(seen) else 1


def build(folder: Path) -> None:
    """Make the hand-made company's tables by the models as they are."""
    runner = Dbt(folder)
    write_warehouse(runner.warehouse, company())
    runner("build", "--exclude-resource-type", "unit_test")


def first_failure(folder: Path, fault: Fault, sound: Path) -> str | None:
    """The first test that fails once a copy of the tree has the fault; None when none does.

    Raises:
        ValueError: the sound text does not stand in the file once.
        RuntimeError: no test ran.
    """
    for tree in TREES:
        shutil.copytree(
            PROJECT / tree, folder / tree, ignore=shutil.ignore_patterns("__pycache__", "chaos")
        )
    for name in ("pyproject.toml", "sources.yml", "carelake.yml"):
        shutil.copyfile(PROJECT / name, folder / name)
    put_in(folder / "dbt_project" / fault.file, fault)
    shutil.copytree(sound, folder / "built")
    return failed_unit_test(folder) or failed_test(folder)


def failed_unit_test(folder: Path) -> str | None:
    """The first unit test of the models that fails in a copy of the tree, on the tables in its folder `built`."""
    done = _python(folder, "-m", "tests.mutations.units", str(folder / "built"))
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    failed = json.loads(done.stdout.splitlines()[-1])
    return f"unit test {failed[0]}" if failed else None


def failed_test(folder: Path) -> str | None:
    """The first fast test of the dbt project that fails in a copy of the tree."""
    done = _python(
        folder, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
        "-m", "not slow and not campaign", "tests/dbt_project",
    )  # fmt: skip
    if done.returncode == 0:
        return None
    said = done.stdout + done.stderr
    test = re.search(r"(?:FAILED|ERROR) tests/dbt_project/[\w/]+\.py::(\w+)", said)
    if not test:
        raise RuntimeError(said[-2000:])
    return test[1]


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def put_in(path: Path, fault: Fault) -> None:
    """Write the fault into a file.

    Raises:
        ValueError: the sound text does not stand in the file once.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(fault.sound) != 1:
        raise ValueError(
            f"{fault.file}: '{fault.sound.strip()}' stands there {text.count(fault.sound)} times"
        )
    path.write_text(text.replace(fault.sound, fault.broken), encoding="utf-8")


def table(seen: list[str | None]) -> str:
    """The page's table: fault, model, and the test that saw it."""
    lines = ["| what is broken | where | first test that fails |", "|---|---|---|"]
    lines += [
        f"| {fault.words} | `{Path(fault.file).stem}` | {f'`{test}`' if test else '**none**'} |"
        for fault, test in zip(FAULTS, seen, strict=True)
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
