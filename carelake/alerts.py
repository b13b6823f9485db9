"""Tell people: one alert by mail and by webhooks, within a fixed time and without ever failing.

Whoever calls is in the middle of a failure already. So a dead mail server or webhook costs at most
`timeout_seconds` and one line of log, which names the host and never an address or a password.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from carelake.setting_groups.alerts import Alerts, Mail, Webhook
from carelake.shown import one_line, visible

REASON_CHARACTERS = 500
TEXT_BYTES = 2000
"""As much as the strictest of the chat tools shows of a message (WeCom: 2,048)."""


@dataclass(frozen=True)
class Alert:
    """What somebody has to know: what happened, in one line why, and where to look."""

    what: str
    reason: str
    owner: str = ""
    run: str = ""
    link: str = ""
    triage: str = ""

    @property
    def headline(self) -> str:
        """One line: what happened and why."""
        reason = one_line(self.reason)
        return f"{self.what}: {reason[:REASON_CHARACTERS]}" if reason else self.what

    def text(self) -> str:
        """The whole, as plain text: the headline, where it is, and the triage note."""
        facts = [f"owner {self.owner}" if self.owner else "", f"run {self.run}" if self.run else ""]
        where = [" · ".join(filter(None, facts)), self.link]
        parts = [self.headline, "\n".join(filter(None, where)), visible(self.triage.strip())]
        return "\n\n".join(filter(None, parts))


def send(alert: Alert, settings: Alerts, say: Callable[[str], None] = print) -> int:
    """Send an alert on every channel that is configured, all at once.

    Args:
        alert: what to tell.
        settings: whom to tell.
        say: takes one line for each channel that could not be told.

    Returns:
        How many channels took it.
    """
    taken: list[str] = []
    failed: dict[str, str] = {}

    def attempt(name: str, deliver: Callable[[], None]) -> None:
        try:
            deliver()
            taken.append(name)
        except Exception as error:
            failed[name] = _without_secrets(f"{type(error).__name__}: {one_line(str(error))}")

    channels = list(_channels(alert, settings))
    # a server may answer a byte at a time: only a thread can be left behind
    threads = [threading.Thread(target=attempt, args=one, daemon=True) for one in channels]
    for thread in threads:
        thread.start()
    end = time.monotonic() + settings.timeout_seconds
    for (name, _), thread in zip(channels, threads, strict=True):
        thread.join(max(0.0, end - time.monotonic()))
        if name in failed:
            say(f"alert {name} was not sent: {failed[name][:200]}")
        elif thread.is_alive():
            say(f"alert {name} was not sent within {settings.timeout_seconds} s")
    return len(taken)


def worth_telling(result: dict[str, Any]) -> list[str]:
    """What a step that went well has to tell people all the same: batches held, and its `alerts`.

    Args:
        result: of the step, as a task returns it. A step may put lines of its own into
            `details["alerts"]`.
    """
    details = result.get("details") or {}
    told = [f"batch {batch} is held: {why}" for batch, why in (details.get("held") or {}).items()]
    told += [
        f"batch {batch} is held: {note.partition('; held: ')[2]}"
        for batch, note in details.items()
        if isinstance(note, str) and "; held: " in note
    ]
    return told + [str(line) for line in details.get("alerts") or []]


def _channels(alert: Alert, settings: Alerts) -> Iterator[tuple[str, Callable[[], None]]]:
    timeout = float(settings.timeout_seconds)
    if (mail := settings.mail) is not None:
        yield f"by mail through {mail.host}", lambda: _mail(alert, mail, timeout)
    for number, hook in enumerate(settings.webhooks, start=1):
        name = f"by webhook {number} ({_host(hook)})"
        yield name, lambda hook=hook: _post(alert, hook, timeout)  # type: ignore[misc]


def _mail(alert: Alert, mail: Mail, timeout: float) -> None:
    message = EmailMessage()
    message["Subject"] = f"[Carelake] {alert.headline[:150]}"
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message.set_content(alert.text())
    context = ssl.create_default_context()
    if mail.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            mail.host, mail.port, timeout=timeout, context=context
        )
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=timeout)
    with server:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.user and mail.password_env:
            server.login(mail.user, _variable(mail.password_env))
        server.send_message(message)


def _post(alert: Alert, hook: Webhook, timeout: float) -> None:
    address = hook.url or _variable(hook.url_env or "")
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"{hook.url_env} holds no http address")
    request = urllib.request.Request(
        address,
        data=json.dumps(body(alert, hook.style), ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "carelake"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        answer.read(1000)


def body(alert: Alert, style: str) -> dict[str, Any]:
    """What is posted, in the shape one family of receivers takes."""
    text = alert.text().encode()[:TEXT_BYTES].decode(errors="ignore")
    if style == "dingtalk":
        return {"msgtype": "text", "text": {"content": text}}
    if style == "feishu":
        return {"msg_type": "text", "content": {"text": text}}
    if style == "fields":
        return {"text": text, "headline": alert.headline, **asdict(alert)}
    return {"text": text}


def _host(hook: Webhook) -> str:
    return urlsplit(hook.url).hostname or "no host" if hook.url else f"${hook.url_env}"


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(f"{name} is not set in the environment of Airflow")
    return value


def _without_secrets(text: str) -> str:
    """Cut addresses out of what a library says: a webhook's address is its password."""
    return " ".join("(address)" if "://" in word else word for word in text.split())
