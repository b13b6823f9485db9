"""Who pushed: signatures of services, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from carelake.errors import ConfigError
from carelake.source import Source
from carelake.sources.connections import Connection, find_connection

PREFIX = "sha256="


@dataclass(frozen=True)
class Guard:
    """What one source demands of a request.

    Attributes:
        kind: of the source.
        secret: signs each request; empty where `token` in the address stands for it.
        token: of the address (Chatwoot without signatures), or of WhatsApp's question at set-up.
    """

    kind: str
    secret: bytes = field(repr=False)
    token: str = field(repr=False)

    def lets_in(self, headers: Mapping[str, str], body: bytes, token: str) -> bool:
        """Whether a request comes from whom it says."""
        if not self.secret:
            return _same(token, self.token)
        if self.kind == "whatsapp":
            return self._is_signed(headers.get("x-hub-signature-256", ""), body)
        moment = headers.get("x-chatwoot-timestamp", "")
        signed = b"%s.%s" % (moment.encode("latin-1", "replace"), body)
        return self._is_signed(headers.get("x-chatwoot-signature", ""), signed)

    def answers(self, mode: str, token: str) -> bool:
        """Whether WhatsApp's question at set-up is one of ours."""
        return self.kind == "whatsapp" and mode == "subscribe" and _same(token, self.token)

    def _is_signed(self, given: str, signed: bytes) -> bool:
        expected = hmac.digest(self.secret, signed, "sha256")
        return given.startswith(PREFIX) and _same(given[len(PREFIX) :], expected.hex())


def guard_of(source: Source) -> Guard:
    """What the source's connection says.

    Raises:
        ConfigError: it lacks a secret.
    """
    connection: Connection = find_connection(source.connection or "")
    if source.kind == "whatsapp":
        secret, token = connection.need("password"), connection.need("verify_token")
        return Guard(source.kind, secret.encode(), token)
    token = str(connection.extra.get("path_token", ""))
    if not connection.password and len(token) < 16:
        raise ConfigError(
            f"connection '{source.connection}' has no password; put the webhook's secret there, or, for a "
            "Chatwoot that signs nothing, a path_token of 16 or more characters into the extra"
        )
    return Guard(source.kind, connection.password.encode(), token)


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(
        given.encode("utf-8", "replace"), expected.encode("utf-8", "replace")
    )
