"""Who wrote a mail: a person, or a machine, and which kind of it. By headers, as RFC 3834 has them."""

from __future__ import annotations

import re
from collections.abc import Mapping

PERSON, AUTO_REPLY, BOUNCE, BULK = "person", "auto_reply", "bounce", "bulk"

BULK_PRECEDENCE = {"bulk", "junk", "list"}
LIST_HEADERS = (
    "list-id",
    "list-unsubscribe",
    "list-post",
    "list-help",
    "mailing-list",
    "feedback-id",
)
AUTO_HEADERS = ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply")
TELLING = frozenset(
    [
        *LIST_HEADERS, *AUTO_HEADERS, "return-path", "x-failed-recipients", "precedence",
        "auto-submitted", "x-auto-response-suppress",
    ]
)  # fmt: skip
"""Headers that are looked at here."""
DAEMON = re.compile(r"^(?:mailer-daemon|postmaster)@", re.IGNORECASE)
UNDELIVERED = re.compile(
    r"^(?:undeliver|delivery (?:status notification|failure|has failed)|mail delivery|"
    r"returned mail|failure notice|unzustellbar|退信|系统退信|无法投递)",
    re.IGNORECASE,
)
OUT_OF_OFFICE = re.compile(
    r"^(?:automatic reply|auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|"
    r"automatische antwort|abwesenheitsnotiz|réponse automatique|respuesta automática|"
    r"risposta automatica|自动回复|自動回覆|自動返信)",
    re.IGNORECASE,
)


def kind_of(headers: Mapping[str, str], content_type: str, sender: str, subject: str | None) -> str:
    """`person`, `auto_reply`, `bounce` or `bulk`.

    Args:
        headers: by lower-case name, decoded.
        content_type: of the whole message, with its parameters, lower case.
        sender: its address.
    """
    title = (subject or "")[:200]
    is_report = content_type.startswith("multipart/report")
    is_nobodys = headers.get("return-path", "").replace(" ", "") == "<>"
    if is_report and "disposition-notification" not in content_type:
        return BOUNCE
    is_undelivered = bool(UNDELIVERED.match(title))
    if "x-failed-recipients" in headers or (
        is_undelivered and (is_nobodys or DAEMON.match(sender))
    ):
        return BOUNCE
    if is_report or is_nobodys or DAEMON.match(sender) or _answers_itself(headers):
        return AUTO_REPLY
    if OUT_OF_OFFICE.match(title):
        return AUTO_REPLY
    is_listed = any(name in headers for name in LIST_HEADERS)
    is_bulk = headers.get("precedence", "").lower() in BULK_PRECEDENCE
    return BULK if is_listed or is_bulk else PERSON


def _answers_itself(headers: Mapping[str, str]) -> bool:
    submitted = headers.get("auto-submitted", "no").partition(";")[0].strip().lower()
    # programs ask for no automatic answer to what they send; people's mail programs do not
    suppressed = headers.get("x-auto-response-suppress", "none").strip().lower()
    return (
        submitted not in ("no", "")
        or suppressed not in ("none", "")
        or headers.get("precedence", "").lower() == "auto_reply"
        or any(headers.get(name, "no").lower() not in ("no", "") for name in AUTO_HEADERS)
    )


def list_of(headers: Mapping[str, str]) -> str | None:
    """Id of the mailing list a mail came through, lower case."""
    value = headers.get("list-id", "")
    found = re.search(r"<([^<>\s]+)>", value)
    return (found[1] if found else value.strip()).lower() or None
