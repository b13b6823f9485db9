"""The registry as a list: versions, their aliases, and what was decided on them."""

from __future__ import annotations

from dataclasses import dataclass

from carelake.settings import Home
from ml.overruling import check_name
from ml.registry import Registry
from ml.results import MODELS, Decision, read_decisions


@dataclass(frozen=True)
class VersionRow:
    """One registered version. `value` is of `metric` on the hold-out it was judged on."""

    model_name: str
    version: int
    alias: str
    decision: str
    decided_by: str
    decided_at: str
    metric: str
    value: float | None
    model_digest: str
    run_id: str
    reason: str


def list_versions(home: Home, name: str | None) -> list[VersionRow]:
    """See `ml.versions`; the newest version of each model first.

    A version that a killed training left has no decision: its columns are empty.
    """
    if name is not None:
        check_name(name)
    registry = Registry(home)
    rows = []
    for each in MODELS if name is None else (name,):
        newest: dict[int, Decision] = {}
        for decision in read_decisions(home, each):
            if decision.model_version is not None:
                newest[decision.model_version] = decision
        for found in reversed(registry.versions(each)):
            last = newest.get(int(found.version))
            rows.append(
                VersionRow(
                    model_name=each,
                    version=int(found.version),
                    alias=", ".join(sorted(found.aliases)),
                    decision=last.decision if last else "",
                    decided_by=last.decided_by if last else "",
                    decided_at=last.decided_at if last else "",
                    metric=last.metric if last else "",
                    value=last.challenger_value if last else None,
                    model_digest=str(found.tags.get("model_digest", "")),
                    run_id=str(found.run_id or ""),
                    reason=last.reason if last else "",
                )
            )
    return rows
