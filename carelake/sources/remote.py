"""What the readers of files elsewhere have in common: a file, where it is, and patterns of names."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from carelake.source_kinds.remote import WILD
from carelake.sources.patience import Passing


@dataclass(frozen=True)
class RemoteFile:
    """A file as its place lists it.

    Attributes:
        name: path below the bucket, host or root.
        tag: what changes with its bytes, as an ETag; None where there is nothing of the kind.
        fault: why it is not taken.
    """

    name: str
    size: int | None = None
    modified: dt.datetime | None = None
    tag: str | None = None
    fault: str | None = None

    @property
    def stamp(self) -> dict[str, str | int | None]:
        """What the cursor remembers of it."""
        modified = None if self.modified is None else self.modified.isoformat()
        return {"size": self.size, "modified": modified, "tag": self.tag}

    def is_as(self, seen: dict[str, object] | None) -> bool:
        """Whether it looks as it did when it was landed."""
        if seen is None:
            return False
        if self.tag is not None or seen.get("tag") is not None:
            return self.tag == seen.get("tag")
        known = {key: seen.get(key) for key in self.stamp}
        return self.modified is not None and self.stamp == known


class Remote(Protocol):
    """An open place of files."""

    def files(self) -> list[RemoteFile]:
        """What the source's path finds, ordered by name."""

    def fetch(self, file: RemoteFile, target: Path) -> RemoteFile:
        """Write a file's bytes; gives it as it was then.

        Raises:
            Passing: it broke off, or changed meanwhile.
        """

    def close(self) -> None:
        """End the session."""


def write_all(chunks: Iterable[bytes], target: BinaryIO, size: int | None, name: str) -> int:
    """Write what comes, and insist on its length.

    Raises:
        Passing: it is shorter or longer than was said.
    """
    written = 0
    for chunk in chunks:
        written += target.write(chunk)
    if size is not None and written != size:
        raise Passing(f"{name}: broke off after {written:,} of {size:,} bytes")
    return written


def pattern(path: str) -> re.Pattern[str]:
    """A glob as a pattern of whole names: `*` and `?` stay in a folder, `**/` takes any."""
    parts = re.split(r"(\*\*/|\*|\?|\[!?[^\]/]+\])", path)
    return re.compile("".join(_part(part) for part in parts), re.DOTALL)


def _part(text: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    if text in fixed:
        return fixed[text]
    if text.startswith("[") and text.endswith("]") and len(text) > 2:
        inner = text[1:-1].replace("\\", "\\\\")
        return "[" + ("^" + inner[1:] if inner.startswith("!") else inner) + "]"
    return re.escape(text)


def folder_of(path: str) -> str:
    """The folder a path begins in: its parts up to the first with a wildcard, without the file."""
    fixed = []
    for part in path.split("/")[:-1]:
        if WILD & set(part):
            break
        fixed.append(part)
    return "/".join(fixed)
