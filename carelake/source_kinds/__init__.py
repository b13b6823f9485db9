"""What a source of each kind says in `sources.yml` beyond what all sources say; one module a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "files", "mbox", "maildir", "eml", "imap", "rest", "postgres", "mysql", "mongodb",
    "salesforce", "zoho", "dynamics", "zendesk", "intercom", "chatwoot", "wecom_kf", "wechat_oa",
    "x", "facebook", "twilio",
    "asterisk_cdr", "freeswitch_cdr", "transcripts",
    "whatsapp", "chatwoot_webhook",
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
        has_objects: whether a block of it stands for several sources, one per object.
        shaped: the entity of kinds whose records `carelake/shapes` makes ours.
    """

    reads: str
    required: str
    group: str | None = None
    has_path: bool = False
    format: str | None = None
    native: str | None = None
    lands: str = ""
    channel: str | None = None
    has_objects: bool = False
    shaped: str | None = None


def _database(reads: str) -> KindRule:
    needs = "connection, database.table or database.query, entity, columns"
    return KindRule(reads, needs, group="database", format="parquet")


def _service(reads: str, group: str, *required: str) -> KindRule:
    return KindRule(reads, ", ".join(["connection", *required]), group=group, has_objects=True)


def _mail(reads: str, required: str, lands: str, group: str | None = None) -> KindRule:
    return KindRule(
        reads, required, group, has_path=group is None, native="email_messages", lands=lands,
        channel="email",
    )  # fmt: skip


def _calls(reads: str) -> KindRule:
    return KindRule(
        reads, "path", group="calls", has_path=True, format="csv", channel="phone",
        shaped="call_legs",
    )  # fmt: skip


def _pushed(reads: str) -> KindRule:
    return KindRule(
        reads,
        "connection",
        group="webhook",
        format="jsonl",
        channel="chat",
        shaped="communications",
    )


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
    "salesforce": _service(
        "contacts, accounts, cases, mails, calls, opportunities of Salesforce", "salesforce"
    ),
    "zoho": _service("contacts, accounts, calls, tasks, cases, deals of Zoho CRM", "zoho"),
    "dynamics": _service(
        "contacts, accounts, calls, mails, appointments, cases, opportunities of Dynamics 365",
        "dynamics", "dynamics.tenant",
    ),
    "zendesk": _service("tickets, comments, hand-overs, ratings, users of Zendesk", "zendesk"),
    "intercom": _service("conversations, messages, contacts, admins of Intercom", "intercom"),
    "chatwoot": _service(
        "conversations, messages, ratings, contacts, agents of Chatwoot", "chatwoot",
        "chatwoot.account",
    ),
    "wecom_kf": _service(
        "messages and hand-overs of WeCom's customer service (微信客服)", "wecom_kf",
        "wecom_kf.account",
    ),
    "wechat_oa": _service(
        "customer service records of a WeChat official account (公众号)", "wechat_oa",
        "wechat_oa.initial",
    ),
    "twilio": _service("calls of a Twilio account", "twilio", "twilio.account"),
    "x": _service("mentions of an account of X, and its own posts", "x", "x.account"),
    "facebook": _service(
        "what is written on a Facebook page, under its posts, and to its inbox", "facebook",
        "facebook.page",
    ),
    "asterisk_cdr": _calls("call records of Asterisk and what is built on it, as CSV"),
    "freeswitch_cdr": _calls("call records of FreeSWITCH, as CSV"),
    "transcripts": KindRule(
        "what was said in calls, as WebVTT or JSON with turns", "path", group="transcripts",
        has_path=True, format="json", channel="phone", shaped="transcripts",
    ),
    "whatsapp": _pushed("messages and calls that WhatsApp pushes to `carelake webhooks serve`"),
    "chatwoot_webhook": _pushed("messages that Chatwoot pushes to `carelake webhooks serve`"),
}  # fmt: skip
"""Every kind of source there is."""
GROUPS = {rule.group: kind for kind, rule in KINDS.items() if rule.group}
"""Block of keys -> a kind that has it."""
