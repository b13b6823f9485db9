"""The landing zone's shape: one folder per batch, its manifest written last.

Extract writes it and load reads it; the manifest is all that they share.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

MANIFEST = "manifest.json"


class LandedFile(BaseModel):
    """One data file of a batch, byte for byte as the source gave it."""

    name: str = Field(description="Path of the file in the source system")
    landed: str = Field(description="File name inside the batch folder")
    sha256: str
    n_bytes: int


class Manifest(BaseModel):
    """What one extract of one source wrote. The newest complete one is the source's cursor."""

    batch_id: str
    source: str
    kind: str
    extracted_at: dt.datetime
    files: list[LandedFile]
    cursor_before: dict[str, Any] = {}
    cursor_after: dict[str, Any] = {}

    def folder(self, landing: Path) -> Path:
        """The batch's folder below the landing zone."""
        return landing / self.source / self.batch_id


def manifests(landing: Path, source: str | None = None) -> list[Manifest]:
    """Complete manifests of one source or all, oldest first.

    Order: extraction time, then batch id, so that it does not depend on the file system.
    """
    pattern = f"{source or '*'}/*/{MANIFEST}"
    found = [
        Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        for path in landing.glob(pattern)
    ]
    return sorted(found, key=lambda m: (m.extracted_at, m.batch_id))


def write_manifest(landing: Path, manifest: Manifest) -> Path:
    """Complete a batch: the manifest appears whole or not at all."""
    folder = manifest.folder(landing)
    path, draft = folder / MANIFEST, folder / (MANIFEST + ".part")
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1)
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    _sync_folder(folder)
    return path


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
