"""Thousands of single mails as a few landed files: tars, each mail byte for byte under its own name.

A tar keeps names and times, needs no escaping, and any machine can open it.
"""

from __future__ import annotations

import datetime as dt
import tarfile
from pathlib import Path
from typing import BinaryIO

LARGEST_FILE = 64_000_000
"""Bytes of mails in one tar."""
END = 2 * tarfile.BLOCKSIZE
"""Zeros that end a tar."""


class MailPack:
    """Writes the mails of one batch into tars in a folder.

    Attributes:
        files: what was written, in order.
        n_messages, n_bytes: of the mails.
    """

    def __init__(self, folder: Path) -> None:
        self.files: list[Path] = []
        self.n_messages = 0
        self.n_bytes = 0
        self._folder = folder
        self._tar: BinaryIO | None = None
        self._room = 0

    def add(self, name: str, content: bytes, came: dt.datetime | None) -> None:
        """Put in one mail.

        Args:
            name: what its mailbox calls it.
            came: when its mailbox got it, as far as it knows.
        """
        if self._tar is None or self._room < len(content):
            self._tar = self._next()
        member = tarfile.TarInfo(name.encode("utf-8", "backslashreplace").decode().lstrip("/"))
        member.size = len(content)
        member.mtime = max(0, int(came.timestamp())) if came else 0
        member.mode = 0o440
        # as `TarFile.addfile` does it, but for the copies it makes of member and content
        self._tar.write(member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
        self._tar.write(content)
        self._tar.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        self._room -= len(content)
        self.n_messages += 1
        self.n_bytes += len(content)

    def close(self) -> list[tuple[str, Path]]:
        """End the last tar; gives what `write_batch` takes."""
        if self._tar is not None:
            self._tar.write(bytes(END))
            self._tar.write(bytes(-self._tar.tell() % tarfile.RECORDSIZE))
            self._tar.close()
            self._tar = None
        return [(path.name, path) for path in self.files]

    def _next(self) -> BinaryIO:
        self.close()
        path = self._folder / f"mails-{len(self.files) + 1:04d}.tar"
        self.files.append(path)
        self._room = LARGEST_FILE
        return path.open("wb")
