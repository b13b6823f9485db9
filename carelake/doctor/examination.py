"""Every check in its order; one that breaks is a finding itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from carelake.doctor import data, holders, places, remotes, servers, versions
from carelake.doctor.findings import Finding, Patient, fail, ok

Check = Callable[[Patient], Iterator[Finding]]


def _configuration(patient: Patient) -> Iterator[Finding]:
    if patient.ctx is None:
        yield fail("configuration", patient.fault, "mend what the message names")
        return
    sources = patient.ctx.sources
    yield ok("configuration", f"{sources.path}: {len(sources.sources)} sources")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("configuration", _configuration),
    ("python", versions.python),
    ("packages", versions.packages),
    ("home", places.home),
    ("disk", places.disk),
    ("file system", places.file_system),
    ("permissions", places.permissions),
    ("sources", places.sources),
    ("custom", places.custom),
    ("lock", holders.lock),
    ("strangers", holders.strangers),
    ("leftovers", holders.leftovers),
    ("warehouse", data.warehouse),
    ("landing", data.landing),
    ("published", data.published),
    ("holds", data.holds),
    ("freshness", data.freshness),
    ("clock", data.clock),
    ("services", servers.services),
    ("ports", servers.ports),
    ("databases", servers.databases),
    ("airflow runs", servers.airflow_runs),
    ("replicas", remotes.replicas),
    ("alerts", remotes.alerts),
)


def examine(patient: Patient) -> list[Finding]:
    """All findings, in the order of the checks; nothing is changed."""
    found: list[Finding] = []
    for name, check in CHECKS:
        try:
            found += check(patient)
        except Exception as error:  # one that cannot look must not keep the others from it
            said = str(error).splitlines()[0] if str(error) else "no message"
            mend = "mend what it names, and look again"
            found.append(fail(name, f"cannot be looked at: {type(error).__name__}: {said}", mend))
    return found
