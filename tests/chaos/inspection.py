"""What a home holds after a run: marts, accounts, models, and what should not be there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DRAFTS = ("*.part", "*.partial", "*.part.*", "*.wal", "*.tmp")
"""Names that only unfinished work has."""
MART = "mart "
"""Begins what is said of a mart that differs."""
ACCOUNT = (
    "batch_id", "n_physical", "n_structural_rejects", "n_raw", "n_staged", "n_rejected",
    "n_duplicates", "n_superseded", "n_deleted", "n_held",
)  # fmt: skip


def inspect_home(root: Path) -> dict[str, Any]:
    """Everything a comparison needs, as JSON; call it in a process of its own."""
    from carelake.settings import Home
    from carelake.warehouse.published import published_fingerprint

    home = Home(root)
    return {
        "fingerprint": published_fingerprint(home),
        "accounts": _accounts(home),
        "models": _models(home),
        "litter": litter(root),
    }


def litter(root: Path) -> list[str]:
    """Unfinished work below a home, as relative paths."""
    found = {path for pattern in DRAFTS for path in root.rglob(pattern)}
    found |= set((root / "tmp").glob("*"))
    found |= {p for p in (root / "landing").glob("*/*/") if not (p / "manifest.json").exists()}
    found |= {p for p in (root / "ml" / "scores").glob("*/") if not (p / "receipt.json").exists()}
    versions = (root / "published" / "versions").glob("*/")
    found |= {p for p in versions if not (p / "publication.json").exists()}
    return sorted(str(path.relative_to(root)) for path in found)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """In what a home differs from one that nobody disturbed; empty when in nothing."""
    told = [
        f"{MART}{name} differs"
        for name in sorted({*expected["fingerprint"], *found["fingerprint"]})
        if expected["fingerprint"].get(name) != found["fingerprint"].get(name)
    ]
    told += [f"account: {fault}" for fault in unbalanced(found["accounts"])]
    if found["accounts"] != expected["accounts"]:
        told.append("the accounts of the batches differ")
    told += [f"model: {fault}" for fault in found["models"]["faults"]]
    if found["models"]["champions"] != expected["models"]["champions"]:
        told.append(
            f"champions {found['models']['champions']} instead of {expected['models']['champions']}"
        )
    return told + [f"left behind: {path}" for path in found["litter"]]


def unbalanced(accounts: list[dict[str, Any]]) -> list[str]:
    """Batches whose account does not close."""
    told = []
    for account in accounts:
        parts = ("n_staged", "n_rejected", "n_duplicates", "n_superseded", "n_deleted", "n_held")
        raw, physical = account["n_raw"], account["n_physical"]
        if raw != sum(account[part] for part in parts):
            told.append(f"{account['batch_id']}: rows loaded are not those accounted for")
        if physical != raw + account["n_structural_rejects"]:
            told.append(f"{account['batch_id']}: records read are neither loaded nor rejected")
    return told


def _accounts(home: Any) -> list[dict[str, Any]]:
    from carelake.warehouse.published import read_only

    with read_only(home) as con:
        query = f"select {', '.join(ACCOUNT)} from source_runs where outcome <> 'failed' order by batch_id"
        return [dict(zip(ACCOUNT, row, strict=True)) for row in con.execute(query).fetchall()]


def _models(home: Any) -> dict[str, Any]:
    """Champions by name with the digest of what they are, and everything half done."""
    import mlflow
    from mlflow.entities import RunStatus

    from ml.registry import Registry, folder_digest
    from ml.results import MODELS

    registry = Registry(home)
    decided = [json.loads(path.read_text()) for path in sorted(home.decisions.glob("*.json"))]
    champions, faults = {}, []
    mlflow.set_tracking_uri(home.mlflow_uri)
    mlflow.set_registry_uri(home.mlflow_uri)
    for name in MODELS:
        champion = registry.champion(name)
        if champion is None:
            continue
        champions[name] = [str(champion.version), champion.tags["model_digest"]]
        files = mlflow.artifacts.download_artifacts(f"models:/{name}/{champion.version}")
        if folder_digest(Path(files)) != champion.tags.get("artifact_sha256"):
            faults.append(f"{name}: the champion's files are not those registered")
        if champion.status != "READY":
            faults.append(f"{name}: the champion is {champion.status}")
        versions = {d["model_version"] for d in decided if d["decision"] == "promoted"}
        if int(champion.version) not in versions:
            faults.append(f"{name}: no decision made version {champion.version} the champion")
    for experiment in registry.client.search_experiments():
        faults += [
            f"{experiment.name}: run {run.info.run_id} never ended"
            for run in registry.client.search_runs([experiment.experiment_id])
            if run.info.status == RunStatus.to_string(RunStatus.RUNNING)
        ]
    return {"champions": champions, "faults": faults}
