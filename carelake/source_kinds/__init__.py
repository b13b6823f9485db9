"""What a source of each kind says in `sources.yml` beyond what all sources say; one module a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "files", "mbox", "maildir", "eml", "imap", "rest", "postgres", "mysql", "mongodb"
]  # fmt: skip


@dataclass(frozen=True)
class KindRule:
    """What the rest of the platform must know of a kind.

    Attributes:
        reads: what it reads, as a person names it.
        required: keys it must have, as a person reads them.
        group: the block of keys of its own, None without one.
        has_path: whether it reads `path`.
        format: what it lands, where the kind decides that.
        native: the raw table of kinds whose columns need no mapping.
        lands: the form of what such a kind lands: `mbox`, or `tar` for one of single mails.
        channel: of what it brings, where the kind decides that.
    """

    reads: str
    required: str
    group: str | None = None
    has_path: bool = False
    format: str | None = None
    native: str | None = None
    lands: str = ""
    channel: str | None = None


def _database(reads: str) -> KindRule:
    needs = "connection, database.table or database.query, entity, columns"
    return KindRule(reads, needs, group="database", format="parquet")


def _mail(reads: str, required: str, lands: str, group: str | None = None) -> KindRule:
    return KindRule(
        reads, required, group, has_path=group is None, native="email_messages", lands=lands,
        channel="email",
    )  # fmt: skip


KINDS: dict[str, KindRule] = {
    "files": KindRule(
        "CSV, JSON, Parquet, Excel in a folder, on S3, SFTP or the web",
        "path, format, entity, columns", has_path=True,
    ),
    "mbox": _mail("mailbox files", "path", "mbox"),
    "maildir": _mail("mailboxes that are a folder with new/ and cur/", "path", "tar"),
    "eml": _mail("mails that are a file each", "path", "tar"),
    "imap": _mail("a mailbox on a mail server", "connection", "tar", group="imap"),
    "rest": KindRule(
        "a web service that answers in JSON", "rest.url or connection, entity, columns",
        group="rest", format="json",
    ),
    "postgres": _database("a table or query of PostgreSQL"),
    "mysql": _database("a table or query of MySQL or MariaDB"),
    "mongodb": KindRule(
        "a collection of MongoDB", "connection, mongodb.collection, entity, columns",
        group="mongodb", format="jsonl",
    ),
}  # fmt: skip
"""Every kind of source there is."""
GROUPS = {rule.group: kind for kind, rule in KINDS.items() if rule.group}
"""Block of keys -> a kind that has it."""
