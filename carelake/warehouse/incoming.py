"""What a reader hands to the loader: one file as a relation, and the records it could not read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reject:
    """One physical record that has no shape.

    `row_number` counts records of the file from 1, `line_number` its lines.
    """

    row_number: int | None
    line_number: int | None
    reason: str
    raw_text: str


class UnreadableFile(Exception):
    """A file of which nothing can be read: its batch is held."""


class NeedsCare(Exception):
    """The fast reader met a fault: the file is to be read again, line by line."""


@dataclass
class Incoming:
    """A landed file, ready to be inserted.

    Attributes:
        relation: SQL for a FROM clause.
        columns: their column names, each with the SQL expression (varchar) that gives it.
        row_number: SQL expression of the record's ordinal in its file.
        rejects: records that were read but have no shape.
        json_record: SQL expression of the whole record, for JSON.
        theirs: the names in the file, where `columns` are ours already.
    """

    relation: str
    columns: dict[str, str]
    row_number: str
    rejects: list[Reject] = field(default_factory=list)
    json_record: str | None = None
    theirs: list[str] | None = None

    @property
    def names(self) -> list[str]:
        """The column names of the file."""
        return list(self.columns) if self.theirs is None else self.theirs


def unique_names(names: list[str]) -> list[str]:
    """Column names, made unique; `column<i>` where a name is empty."""
    found: list[str] = []
    taken: set[str] = set()
    for i, given in enumerate(names):
        name = given.strip().replace("\0", "") or f"column{i}"
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        found.append(name)
    return found


def pointer(parts: Iterable[str]) -> str:
    """A JSON pointer to a member: unlike a JSON path, it can name any key there is."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
