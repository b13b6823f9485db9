"""What is installed, held against what is pinned."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from carelake.doctor.findings import Finding, Patient, fail, listed, ok, warn
from carelake.settings import PROJECT

LOCK = PROJECT / "requirements.lock"
CORE = frozenset(
    {"apache-airflow", "dbt-core", "dbt-duckdb", "duckdb", "great-expectations", "mlflow"}
)
"""Another version of these is another platform: files and databases depend on them."""
PIN = re.compile(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)\s*(;[^\\]*)?", re.MULTILINE)
OLDEST, NEWEST = (3, 11), (3, 13)


def python(patient: Patient) -> Iterator[Finding]:
    """Whether this Python is one that is supported."""
    found = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        yield ok("python", f"{found} at {sys.executable}")
    else:
        yield fail(
            "python", f"{found} is not 3.11 to 3.13", "make clean, make PYTHON=python3.12 setup"
        )


def packages(patient: Patient, lock: Path = LOCK) -> Iterator[Finding]:
    """Whether every pinned package is there in its pinned version."""
    pins: dict[str, set[str]] = {}
    optional = set()
    for name, version, marker in PIN.findall(lock.read_text(encoding="utf-8")):
        pins.setdefault(name, set()).add(version)
        if marker:  # for another machine, perhaps
            optional.add(name)
    differing = {name: told for name in pins if (told := _difference(name, pins[name], optional))}
    if not differing:
        yield ok("packages", f"{len(pins)} as pinned in {lock.name}")
        return
    core = sorted(differing.keys() & CORE)
    names = [differing[name] for name in [*core, *sorted(differing.keys() - CORE)]]
    say = fail if core else warn
    yield say("packages", f"{len(names)} not as pinned: {listed(names)}", "make setup")


def _difference(name: str, pinned: set[str], optional: set[str]) -> str | None:
    expected = " or ".join(sorted(pinned))
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None if name in optional else f"{name} is missing ({expected} pinned)"
    return None if found in pinned else f"{name} {found} ({expected} pinned)"
