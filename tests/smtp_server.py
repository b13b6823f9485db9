"""A mail server on loopback that wants a login, and may want TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "hunter22"


@dataclass
class Mailbox:
    """What arrived, and by whom; `authority` is whose certificates a client must trust."""

    port: int
    authority: trustme.CA
    mails: list[bytes] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail."""
        self.mails.append(envelope.original_content or b"")
        return "250 taken"

    def knows(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Judge a login; notes whether it came over TLS."""
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), session.ssl is not None))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextmanager
def smtp_server(security: str = "none") -> Iterator[Mailbox]:
    """Serve until the block ends.

    Args:
        security: as in `alerts.mail`: none, starttls, tls.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Mailbox(port, trustme.CA())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    box.authority.issue_cert("127.0.0.1").configure_cert(context)
    tls: dict[str, Any] = {
        "none": {"auth_require_tls": False},
        "starttls": {"tls_context": context, "require_starttls": True},
        # aiosmtpd knows a login over TLS only from STARTTLS
        "tls": {"ssl_context": context, "auth_require_tls": False},
    }[security]
    server = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=box.knows, auth_required=True, **tls
    )
    server.start()
    try:
        yield box
    finally:
        server.stop(no_assert=True)
