"""The landing zone's shape: one folder per batch, its manifest written last.

Extract writes it and load reads it; the manifest is all that they share.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from carelake.errors import RunFailed

MANIFEST = "manifest.json"
PACKED = ".zst"
CHUNK = 1 << 20


class DamagedManifest(RunFailed):
    """A manifest that was complete is not any more: nobody knows what its batch held."""


class LandedFile(BaseModel):
    """One data file of a batch, byte for byte as the source gave it."""

    name: str = Field(description="Path of the file in the source system")
    landed: str = Field(description="File name inside the batch folder")
    sha256: str = Field(description="Of the bytes the source gave, also when the file is packed")
    n_bytes: int
    is_packed: bool = Field(default=False, description="Kept as .zst since `carelake tidy`")
    expired_at: dt.datetime | None = Field(
        default=None, description="When retention removed its bytes; None while they are there"
    )

    @property
    def stored(self) -> str | None:
        """File name in the batch folder, None when the bytes are gone."""
        if self.expired_at is not None:
            return None
        return self.landed + PACKED if self.is_packed else self.landed


class Manifest(BaseModel):
    """What one extract of one source wrote. The newest complete one is the source's cursor."""

    batch_id: str
    source: str
    kind: str
    extracted_at: dt.datetime
    files: list[LandedFile]
    cursor_before: dict[str, Any] = {}
    cursor_after: dict[str, Any] = {}
    details: dict[str, Any] = Field(default={}, description="Window, pages, requests, seconds")
    since: dt.datetime | None = Field(default=None, description="Start of a restricted extract")
    until: dt.datetime | None = Field(default=None, description="Its end, which it leaves out")

    def folder(self, landing: Path) -> Path:
        """The batch's folder below the landing zone."""
        return landing / self.source / self.batch_id

    def damage(self, landing: Path) -> dict[str, str]:
        """What is wrong with the batch's data files, by landed name; empty when nothing is."""
        folder = self.folder(landing)
        found = {
            file.landed: _damage(folder / file.stored, file) for file in self.files if file.stored
        }
        return {name: what for name, what in found.items() if what}


def _damage(path: Path, file: LandedFile) -> str | None:
    try:
        if file.is_packed:
            is_same = sha256_of_packed(path) == file.sha256
            return None if is_same else f"{path} does not hold the bytes that were extracted"
        n_bytes = path.stat().st_size
        if n_bytes != file.n_bytes:
            return f"{path} has {n_bytes:,} bytes where {file.n_bytes:,} were extracted"
        digest = sha256_of(path)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None if digest == file.sha256 else f"{path} has not the bytes that were extracted"


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def sha256_of_packed(path: Path) -> str | None:
    """Hex digest of what a packed file holds; None when it cannot be unpacked."""
    digest = hashlib.sha256()
    try:
        _unpack(path, digest.update)
    except ValueError:
        return None
    return digest.hexdigest()


def unpack(path: Path, target: Path) -> Path:
    """Write what a packed file holds."""
    with target.open("wb") as writer:
        _unpack(path, writer.write)
    return target


def _unpack(path: Path, take: Callable[[bytes], object]) -> None:
    import zstandard

    try:
        with path.open("rb") as raw:
            for chunk in zstandard.ZstdDecompressor().read_to_iter(raw, read_size=CHUNK):
                take(chunk)
    except zstandard.ZstdError as error:
        raise ValueError(f"{path}: {error}") from error


def pack_file(folder: Path, file: LandedFile) -> int:
    """Write the packed form of a landed file beside it; gives its size in bytes.

    It is read again before it counts: what it holds has the digest of the manifest.

    Raises:
        RunFailed: it has not.
    """
    import zstandard

    source, target = folder / file.landed, folder / (file.landed + PACKED)
    draft = target.with_name(target.name + ".part")
    packer = zstandard.ZstdCompressor(level=9, write_checksum=True)
    with source.open("rb") as reader, draft.open("wb") as writer:
        packer.copy_stream(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())
    if sha256_of_packed(draft) != file.sha256:
        draft.unlink()
        raise RunFailed(f"{source}: has not the bytes that were extracted; it stays as it is")
    draft.chmod(0o440)
    draft.rename(target)
    return target.stat().st_size


def settle_files(landing: Path, manifest: Manifest) -> None:
    """Make a manifest the batch's own, then remove the forms of its files that it no longer names."""
    write_manifest(landing, manifest)
    folder = manifest.folder(landing)
    for file in manifest.files:
        for name in {file.landed, file.landed + PACKED} - {file.stored}:
            (folder / name).unlink(missing_ok=True)


def manifests(landing: Path, source: str | None = None) -> list[Manifest]:
    """Complete manifests of one source or all, oldest first.

    Order: extraction time, then batch id, so that it does not depend on the file system.

    Raises:
        DamagedManifest: one of them cannot be read.
    """
    pattern = f"{source or '*'}/*/{MANIFEST}"
    found = [_read_manifest(path) for path in landing.glob(pattern)]
    return sorted(found, key=lambda m: (m.extracted_at, m.batch_id))


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise DamagedManifest(
            f"{path}: is no manifest any more; put it back from a backup, the next run goes on"
        ) from error


def reseal(landing: Path, manifest: Manifest) -> Manifest:
    """Take a batch's files as they are now: a person changed them and says so."""
    folder = manifest.folder(landing)
    files = [
        file.model_copy(
            update={
                "sha256": sha256_of(path),
                "n_bytes": path.stat().st_size,
                "is_packed": False,
                "expired_at": None,
            }
        )
        if (path := folder / file.landed).is_file()
        else file
        for file in manifest.files
    ]
    sealed = manifest.model_copy(update={"files": files})
    if files != manifest.files:
        write_manifest(landing, sealed)
    return sealed


def sweep(landing: Path, source: str, last: int) -> None:
    """Remove batches that a killed extract left without a manifest; call under the source's lock.

    Args:
        last: number of the newest complete batch. An earlier one without a manifest has lost it,
            and is left for whoever puts it back.
    """
    for folder in landing.glob(f"{source}/{source}-*/"):
        if not (folder / MANIFEST).exists() and _number(folder.name) > last:
            shutil.rmtree(folder)


def last_number(found: list[Manifest]) -> int:
    """Ordinal of a source's newest batch, 0 before the first."""
    return max((_number(manifest.batch_id) for manifest in found), default=0)


def _number(batch_id: str) -> int:
    return int(batch_id.rpartition("-")[2])


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
    sync_folder(folder)
    return path


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
