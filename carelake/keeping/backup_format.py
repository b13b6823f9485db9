"""What a backup is: a folder, or one .tar.zst, whose last file says what all others are.

Both forms hold the same files under the same names. `backup.json` has the sha256 of each.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import secrets
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from pydantic import BaseModel, ValidationError

from carelake.errors import ConfigError, RunFailed

FORMAT = 1
MANIFEST = "backup.json"
PACKED = ".tar.zst"
CHUNK = 1 << 20


class Damaged(RunFailed):
    """A backup is not what was written."""


class Entry(BaseModel):
    """One file of a backup."""

    sha256: str
    n_bytes: int


class PepperCheck(BaseModel):
    """Tells the right pepper from a wrong one without being it."""

    salt: str
    digest: str

    @classmethod
    def of(cls, pepper: str, salt: str | None = None) -> PepperCheck:
        """The check of a pepper; a salt is made unless given."""
        salt = salt or secrets.token_hex(16)
        digest = hashlib.scrypt(pepper.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1)
        return cls(salt=salt, digest=digest.hex())

    def fits(self, pepper: str) -> bool:
        """Whether this is the pepper the check was made of."""
        return secrets.compare_digest(PepperCheck.of(pepper, self.salt).digest, self.digest)


class BackupManifest(BaseModel):
    """What a backup holds, and what must come of it.

    `version`, `as_of` and `fingerprint` are those of the marts that were published; `recorded` has
    the fingerprint of every recorded table. DuckDB's hashes are compared with the same DuckDB only.
    """

    format: int = FORMAT
    carelake: str
    schema_version: int
    duckdb: str
    made_at: dt.datetime
    home: str
    sources: str
    version: int | None
    as_of: str | None
    fingerprint: dict[str, Any]
    recorded: dict[str, dict[str, Any]]
    mlflow_artifacts: str | None
    pepper: PepperCheck
    holds_pepper: bool
    holds_secrets: bool
    damaged: list[str] = []
    files: dict[str, Entry]

    def sealed(self) -> bytes:
        """The manifest's own file; its last key is the digest of the rest."""
        content = self.model_dump(mode="json")
        content["seal"] = _seal(content)
        return json.dumps(content, ensure_ascii=False, indent=1).encode()

    @classmethod
    def opened(cls, text: bytes, where: Path) -> BackupManifest:
        """Read what `sealed` wrote.

        Raises:
            Damaged: it was changed.
            ConfigError: a newer Carelake wrote it.
        """
        try:
            content = json.loads(text)
            seal = content.pop("seal")
            if content.get("format", 0) > FORMAT:
                raise ConfigError(
                    f"{where}: was made by Carelake {content.get('carelake')}, in a form this one "
                    "does not know; restore it with that one"
                )
            if seal != _seal(content):
                raise ValueError("its seal is broken")
            return cls.model_validate(content)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise Damaged(f"{where}: {MANIFEST} is damaged; take another backup") from error


def _seal(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_packed(path: Path) -> bool:
    """Whether a backup of this name is one file."""
    return path.name.endswith(PACKED)


def digest_of(reader: BinaryIO, writer: BinaryIO | None = None) -> Entry:
    """Read a file to its end, copying it on the way, and say what it is."""
    digest, size = hashlib.sha256(), 0
    while chunk := reader.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if writer is not None:
            writer.write(chunk)
    return Entry(sha256=digest.hexdigest(), n_bytes=size)


# -- writing ---------------------------------------------------------------------------------------
class _Hashing:
    """A file that is hashed while `tarfile` reads it."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._reader.read(size)
        self.digest.update(chunk)
        return chunk


def pack(parts: dict[str, Path], target: Path, finish: Any) -> None:
    """Write one .tar.zst of the files, and the manifest `finish` makes of their digests."""
    import io

    import zstandard

    entries: dict[str, Entry] = {}
    # a checksum per frame, so that a flipped bit is seen before its file is unpacked
    packer = zstandard.ZstdCompressor(level=6, write_checksum=True, threads=2)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as raw:
        with (
            packer.stream_writer(raw, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, path in sorted(parts.items()):
                with path.open("rb") as reader:
                    hashing = _Hashing(reader)
                    info = _member(name, os.fstat(reader.fileno()).st_size)
                    tar.addfile(info, cast(Any, hashing))
                    entries[name] = Entry(sha256=hashing.digest.hexdigest(), n_bytes=info.size)
            text = finish(entries).sealed()
            tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        raw.flush()
        os.fsync(raw.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


# -- reading ---------------------------------------------------------------------------------------
class _Guarded:
    """A packed file whose damage is told by its name, wherever it is read."""

    def __init__(self, reader: Any, backup: Path, name: str) -> None:
        self._reader, self._backup, self._name = reader, backup, name

    def read(self, size: int = -1) -> bytes:
        with _told(self._backup, self._name):
            return cast(bytes, self._reader.read(size))


@contextmanager
def _told(backup: Path, name: str) -> Iterator[None]:
    import zstandard

    try:
        yield
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise Damaged(f"{backup}: cannot be read beyond {name}; take another backup") from error


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    import zstandard

    with (
        path.open("rb") as raw,
        closing(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)) as packed,
        tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
        yield tar


def read_files(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Every file of a backup with its name, the manifest last.

    Raises:
        ConfigError: there is no backup.
        Damaged: it cannot be read to its end.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such backup; give the folder or the {PACKED} file")
    if path.is_dir():
        yield from _read_folder(path)
        return
    name = "its beginning"
    with _told(path, name), _tar(path) as tar:
        while True:
            with _told(path, name):
                member = tar.next()
            if member is None:
                return
            name = member.name
            reader = tar.extractfile(member)
            if reader is not None:
                yield name, cast(BinaryIO, _Guarded(reader, path, name))


def _read_folder(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    names = sorted(str(PurePosixPath(p.relative_to(path))) for p in path.rglob("*") if p.is_file())
    for name in [*(n for n in names if n != MANIFEST), *(n for n in names if n == MANIFEST)]:
        with (path / name).open("rb") as reader:
            yield name, reader


def compare(path: Path, found: dict[str, Entry], text: bytes | None) -> BackupManifest:
    """Hold the files of a backup against its manifest.

    Raises:
        Damaged: naming the files that are changed, missing or strange.
    """
    if text is None:
        raise Damaged(f"{path}: has no {MANIFEST}, so it is no whole backup; take another")
    manifest = BackupManifest.opened(text, path)
    changed = [n for n, entry in manifest.files.items() if n in found and found[n] != entry]
    missing = sorted(set(manifest.files) - set(found))
    strange = sorted(set(found) - set(manifest.files))
    faults = [f"{what}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" for what, names in (
        ("changed", changed), ("missing", missing), ("not of the backup", strange),
    ) if names]  # fmt: skip
    if faults:
        raise Damaged(f"{path}: {'; '.join(faults)}; take another backup")
    return manifest


def verify(path: Path) -> BackupManifest:
    """Read a whole backup and hold it against its manifest.

    Raises:
        Damaged: naming what is not as it was written.
    """
    found: dict[str, Entry] = {}
    text = None
    for name, reader in read_files(path):
        if name == MANIFEST:
            text = reader.read()
        else:
            found[name] = digest_of(reader)
    return compare(path, found, text)
