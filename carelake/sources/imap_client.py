"""A mail server that is asked patiently: connects anew when it must, and never changes a mailbox."""

from __future__ import annotations

import datetime as dt
import logging
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from imapclient import IMAPClient  # type: ignore[import-untyped]
from imapclient.exceptions import (  # type: ignore[import-untyped]
    CapabilityError,
    IMAPClientAbortError,
    IMAPClientError,
    LoginError,
    ProtocolError,
)

from carelake.source_kinds.imap import ImapSettings
from carelake.source_kinds.oauth import OAuth2Auth
from carelake.sources.connections import Connection
from carelake.sources.patience import Passing, Refused, patiently

# at its finest grain it logs what is sent, logins included
logging.getLogger("imapclient").setLevel(logging.INFO)

Found = TypeVar("Found")
WILL_PASS = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN|OVERQUOTA)\b|too many|try again|temporar",
    re.IGNORECASE,
)
"""What servers say (RFC 5530, Gmail, Exchange) of troubles that are over soon."""
LOGIN, TRUST, FOLDER, OTHER = 1, 2, 3, 0
"""`Refused.status`: what was refused."""
FLAGS = {b"\\seen": "S", b"\\answered": "R", b"\\flagged": "F", b"\\deleted": "T", b"\\draft": "D"}
"""As maildirs write them."""
AT_ONCE = 500
"""Mails whose sizes are asked for together."""


@dataclass(frozen=True)
class Listed:
    """What a server says of a mail without handing it over; `flags` as maildirs write them."""

    uid: int
    size: int
    came: dt.datetime | None
    flags: str


class MailServer:
    """One login to a mail server.

    Attributes:
        n_requests: commands sent, repeats included.
    """

    def __init__(
        self,
        settings: ImapSettings,
        connection: Connection,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.n_requests = 0
        self._settings, self._connection = settings, connection
        self._sleep = sleep
        self._tries = patiently(settings.attempts, sleep)
        self._client: IMAPClient | None = None
        self._folder: str | None = None
        self._validities: dict[str, int] = {}

    def folders(self) -> list[str]:
        """Names of all folders that can hold mails."""
        return self._ask(None, lambda client: self._listed(client, "*"))

    def matching(self, name: str) -> list[str]:
        """The folders a name of the settings stands for; empty when there is none."""
        if name.startswith("\\"):
            found = self._ask(
                None, lambda client: client.find_special_folder(name.encode("ascii", "replace"))
            )
            return [str(found)] if found else []
        if "*" in name or "%" in name:
            return sorted(self._ask(None, lambda client: self._listed(client, name)))
        return [name]

    def validity(self, folder: str) -> int:
        """UIDVALIDITY: while it stays, a number means the same mail."""
        return self._ask(folder, lambda client: self._validities[folder])

    def search(self, folder: str, criteria: str) -> list[int]:
        """Numbers of mails, ascending; drafts are no mails yet."""
        return sorted(self._ask(folder, lambda client: client.search(f"{criteria} UNDRAFT")))

    def listed(self, folder: str, uids: list[int]) -> list[Listed]:
        """Sizes, times and flags of so many mails as there still are, ascending."""
        found: list[Listed] = []
        wanted = ["RFC822.SIZE", "INTERNALDATE", "FLAGS"]
        for start in range(0, len(uids), AT_ONCE):
            some = uids[start : start + AT_ONCE]
            answer = self._ask(folder, lambda client, some=some: client.fetch(some, wanted))  # type: ignore[misc]
            found += [
                Listed(uid, said[b"RFC822.SIZE"], said.get(b"INTERNALDATE"), _flags(said))
                for uid, said in sorted(answer.items())
                if b"RFC822.SIZE" in said
            ]
        return found

    def bodies(self, folder: str, uids: list[int], largest: int) -> dict[int, bytes]:
        """Mails byte for byte, as far as there are still; of one larger than that its beginning."""
        part = f"BODY.PEEK[]<0.{largest}>" if largest else "BODY.PEEK[]"
        answer = self._ask(folder, lambda client: client.fetch(uids, [part]))
        found = {}
        for uid, said in answer.items():
            content = next((v for k, v in said.items() if k.startswith(b"BODY[]")), None)
            if isinstance(content, bytes):
                found[uid] = content
        return found

    def close(self) -> None:
        """Log out, if that is still possible."""
        client, self._client, self._folder = self._client, None, None
        if client is not None:
            try:
                client.logout()
            except (IMAPClientError, OSError):
                _hang_up(client)

    def _ask(self, folder: str | None, work: Callable[[IMAPClient], Found]) -> Found:
        return self._tries.copy()(self._once, folder, work)  # type: ignore[no-any-return]

    def _once(self, folder: str | None, work: Callable[[IMAPClient], Found]) -> Found:
        self.n_requests += 1
        try:
            client = self._client or self._connected()
            self._enter(client, folder)
            return work(client)
        except (Passing, Refused):
            self._forget()
            raise
        except (IMAPClientAbortError, ProtocolError, OSError, EOFError) as error:
            self._forget()
            raise Passing(f"{self._where}: the connection was cut") from error
        except IMAPClientError as error:
            said = str(error)
            self._forget()
            if WILL_PASS.search(said):
                raise Passing(f"{self._where}: {_code(said)}") from error
            raise Refused(OTHER, f"{self._where}: refused a request{_code(said)}") from error

    @property
    def _where(self) -> str:
        return f"{self._connection.host}:{self._port}"

    @property
    def _port(self) -> int:
        return self._connection.port or (993 if self._settings.security == "tls" else 143)

    def _connected(self) -> IMAPClient:
        """Connect and log in."""
        client = self._opened()
        try:
            client.normalise_times = False
            if self._settings.security == "starttls":
                client.starttls(ssl.create_default_context())
            self._log_in(client)
        except BaseException as error:
            _hang_up(client)
            raise self._sorted(error) from error
        self._client, self._folder = client, None
        return client

    def _opened(self) -> IMAPClient:
        try:
            return IMAPClient(
                self._connection.need("host"),
                port=self._port,
                ssl=self._settings.security == "tls",
                timeout=self._settings.timeout_seconds,
            )
        except (OSError, IMAPClientError) as error:
            raise self._sorted(error) from error

    def _log_in(self, client: IMAPClient) -> None:
        if isinstance(self._settings.auth, OAuth2Auth):
            client.oauth2_login(self._settings.mailbox, self._token(self._settings.auth))
            return
        login, password = self._connection.need("login"), self._connection.need("password")
        if client.has_capability("AUTH=PLAIN"):
            client.plain_login(login, password)  # LOGIN takes ASCII only
        elif client.has_capability("LOGINDISABLED"):
            raise Refused(TRUST, f"{self._where}: takes no password over an open line")
        else:
            client.login(login, password)

    def _token(self, auth: OAuth2Auth) -> str:
        # dlt's clients take a second to import, and most mailboxes have a password
        from carelake.sources.web_tokens import fetched_token

        signer = fetched_token(
            auth,
            self._connection,
            attempts=self._settings.attempts,
            timeout=self._settings.timeout_seconds,
            sleep=self._sleep,
        )
        signer.obtain_token()
        return str(signer.access_token)

    def _sorted(self, error: BaseException) -> BaseException:
        """What a failed beginning means: trouble that passes, or a refusal."""
        said = str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused(TRUST, f"{self._where}: its certificate is not trusted")
        if isinstance(error, ssl.SSLError):
            return Refused(TRUST, f"{self._where}: does not speak TLS as it is asked to")
        if isinstance(error, CapabilityError):
            return Refused(TRUST, f"{self._where}: offers no such security")
        if isinstance(error, TimeoutError):
            return Passing(f"{self._where}: no answer in {self._settings.timeout_seconds:g} s")
        if isinstance(error, OSError):
            return Passing(f"{self._where}: cannot be reached")
        if isinstance(error, UnicodeError):
            return Refused(LOGIN, f"{self._where}: takes logins and passwords in ASCII only")
        if isinstance(error, IMAPClientAbortError):
            return Passing(f"{self._where}: the connection was cut")
        if WILL_PASS.search(said):
            return Passing(f"{self._where}: cannot be logged in to now{_code(said)}")
        if isinstance(error, LoginError):
            return Refused(LOGIN, f"{self._where}: refused the login{_code(said)}")
        if isinstance(error, IMAPClientError):
            return Refused(OTHER, f"{self._where}: refused to begin{_code(said)}")
        return error

    def _enter(self, client: IMAPClient, folder: str | None) -> None:
        """Open a folder for reading only."""
        if folder is None or folder == self._folder:
            return
        try:
            said = client.select_folder(folder, readonly=True)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            if WILL_PASS.search(str(error)):
                raise
            raise Refused(FOLDER, f"{self._where}: has no folder '{folder}'") from error
        self._folder, validity = folder, int(said.get(b"UIDVALIDITY", 0))
        if self._validities.setdefault(folder, validity) != validity:
            raise Refused(OTHER, f"{self._where}: numbered '{folder}' anew while it was read")

    def _listed(self, client: IMAPClient, pattern: str) -> list[str]:
        return [
            str(name)
            for flags, _, name in client.list_folders("", pattern)
            if b"\\noselect" not in {bytes(flag).lower() for flag in flags}
        ]

    def _forget(self) -> None:
        client, self._client, self._folder = self._client, None, None
        if client is not None:
            _hang_up(client)


def _hang_up(client: IMAPClient) -> None:
    try:
        client.shutdown()
    except (IMAPClientError, OSError):
        return


def _code(said: str) -> str:
    """The code a server gave; its words might repeat what it was told."""
    found = re.search(r"\[([A-Z]+)\b", said)
    return f" ({found[1]})" if found else ""


def _flags(said: dict[bytes, object]) -> str:
    flags = said.get(b"FLAGS", ())
    known = (FLAGS.get(bytes(flag).lower(), "") for flag in flags)  # type: ignore[attr-defined]
    return "".join(sorted(known))
