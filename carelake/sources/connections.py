"""Addresses and secrets of source systems: Airflow connections, or the environment in their form.

`sources.yml` names a connection; what it holds never stands in a file of ours, a manifest or a log.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from carelake.errors import ConfigError

PREFIX = "AIRFLOW_CONN_"


@dataclass(frozen=True)
class Connection:
    """What is known of a system; `repr` shows no secret."""

    name: str
    schema: str = ""
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)
    database: str = ""

    @property
    def url(self) -> str | None:
        """Address of a web service, None without a host."""
        if not self.host:
            return None
        if self.host.startswith(("http://", "https://")):
            return self.host
        port = f":{self.port}" if self.port else ""
        scheme = self.schema if self.schema in ("http", "https") else "https"
        return f"{scheme}://{self.host}{port}"

    def hide(self, text: str, *more: str) -> str:
        """A text without the secrets of the connection, and without others that are named."""
        secrets = [self.password, *(v for v in self.extra.values() if isinstance(v, str)), *more]
        for secret in sorted((s for s in secrets if len(s) > 3), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def need(self, part: str) -> str:
        """A part that must be there.

        Raises:
            ConfigError: it is empty.
        """
        value = str(getattr(self, part, "") or self.extra.get(part, ""))
        if not value:
            raise ConfigError(f"connection '{self.name}' has no {part}; add it")
        return value


def find_connection(name: str) -> Connection:
    """The connection of this name: `AIRFLOW_CONN_<NAME>`, else, inside a task, Airflow's own.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    text = os.environ.get(PREFIX + name.upper())
    if text is not None:
        return _parsed(name, text)
    found = _from_airflow(name) if "airflow.sdk" in sys.modules else None
    if found is None:
        raise ConfigError(
            f"there is no connection '{name}'; add it in Airflow (Admin, Connections), or set "
            f"{PREFIX}{name.upper()}, as in https://login:password@host"
        )
    return found


def _parsed(name: str, text: str) -> Connection:
    """An Airflow connection as its environment variable holds it: JSON, or an address."""
    try:
        return _from_json(name, text) if text.lstrip().startswith("{") else _from_url(name, text)
    except (ValueError, TypeError, AttributeError):
        # what the variable holds is a secret: no part of it is told
        raise ConfigError(
            f"{PREFIX}{name.upper()} cannot be read; write JSON, or https://login:password@host "
            "with special characters as in %40"
        ) from None


def _from_json(name: str, text: str) -> Connection:
    content = json.loads(text)
    extra = content.get("extra") or {}
    return Connection(
        name,
        schema=str(content.get("schema") or content.get("conn_type") or ""),
        host=str(content.get("host") or ""),
        port=int(content["port"]) if content.get("port") else None,
        login=str(content.get("login") or ""),
        password=str(content.get("password") or ""),
        extra=json.loads(extra) if isinstance(extra, str) else dict(extra),
        database=str(content.get("schema") or ""),
    )


def _from_url(name: str, text: str) -> Connection:
    parts = urlsplit(text)
    extra: dict[str, Any] = dict(parse_qsl(parts.query))
    if "__extra__" in extra:
        extra = json.loads(extra["__extra__"])
    path = unquote(parts.path.strip("/"))
    # Airflow writes the scheme of a web service as the path: http://host/https
    scheme = path if path in ("http", "https") else parts.scheme
    return Connection(
        name,
        schema=scheme,
        host=unquote(parts.hostname or ""),
        port=parts.port,
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        extra=extra,
        database=path,
    )


def _from_airflow(name: str) -> Connection | None:
    from airflow.sdk import Connection as AirflowConnection
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    try:
        found = AirflowConnection.get(name)
    except (AirflowNotFoundException, AirflowRuntimeError):
        return None
    return Connection(
        name,
        schema=str(found.schema or ""),
        host=str(found.host or ""),
        port=found.port,
        login=str(found.login or ""),
        password=str(found.password or ""),
        extra=dict(found.extra_dejson),
        database=str(found.schema or ""),
    )
