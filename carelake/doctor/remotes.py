"""Other machines the settings name: replicas, the mail server, webhooks. Reached for, never logged in to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from carelake.doctor.findings import Finding, Patient, ok, warn
from carelake.errors import ConfigError

PATIENCE_SECONDS = 3.0
PORTS = {"postgresql": 5432, "mysql": 3306, "https": 443, "http": 80}


def replicas(patient: Patient) -> Iterator[Finding]:
    """Whether each replica's server answers, and its password is where the settings say."""
    # looked up by name: a release without replicas has no such setting
    for one in getattr(patient.ctx and patient.ctx.settings, "replicas", []):
        trouble = _unreachable(one.host, one.port or PORTS[one.kind])
        if trouble:
            yield warn(
                "replicas",
                f"{one.label} ({one.address}) cannot be reached: {trouble}",
                "see that its server runs; the next run brings the replica up to date",
            )
            continue
        try:
            one.password()
        except ConfigError as error:
            yield warn("replicas", str(error), "set it where runs are started")
        else:
            yield ok("replicas", f"{one.label} ({one.address}) answers")


def alerts(patient: Patient) -> Iterator[Finding]:
    """Whether the mail server and the webhooks can be reached; no message is sent."""
    settings = getattr(patient.ctx and patient.ctx.settings, "alerts", None)
    if settings is None:
        return
    for name, host, port in _addresses(settings):
        if not host:
            yield warn("alerts", f"{name} is not set", "set it where runs are started")
        elif trouble := _unreachable(host, port):
            yield warn(
                "alerts",
                f"{name} ({host}:{port}) cannot be reached: {trouble}",
                "correct its address; alerts are lost until then",
            )
        else:
            yield ok("alerts", f"{name} ({host}:{port}) answers")


def _addresses(settings: Any) -> Iterator[tuple[str, str, int]]:
    """(what, host, port) of all that alerts go to; a webhook's path is a secret and left out."""
    if settings.mail is not None:
        yield "mail", settings.mail.host, settings.mail.port
    for number, hook in enumerate(settings.webhooks, start=1):
        url = urlsplit(hook.url or os.environ.get(hook.url_env) or "")
        name = f"webhook {number}" if url.hostname else f"webhook {number}: {hook.url_env}"
        yield name, url.hostname or "", url.port or PORTS.get(url.scheme, 443)


def _unreachable(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), PATIENCE_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
