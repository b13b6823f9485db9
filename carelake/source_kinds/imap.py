"""Kind `imap`: a mailbox on a mail server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from carelake.setting_groups.base import Strict
from carelake.source_kinds.oauth import OAuth2Auth


class PasswordAuth(Strict):
    """The connection's login and password."""

    type: Literal["password"] = "password"


class ImapSettings(Strict):
    """How a mailbox is read. It is never changed: no mail is marked as read."""

    security: Literal["tls", "starttls", "none"] = Field(
        default="tls", description="How the connection is secured; none sends the password in clear"
    )
    auth: PasswordAuth | OAuth2Auth = Field(default=PasswordAuth(), discriminator="type")
    mailbox: str | None = Field(
        default=None, description="auth oauth2: whose mailbox is read, as in care@shop.example"
    )
    folders: list[str] = Field(
        default=["INBOX"],
        min_length=1,
        description="Folders to read; * and % stand for any name, \\Sent for the folder of sent mail",
    )
    look_back: int = Field(
        default=200, ge=0, description="Mails before the newest that are looked for again, if late"
    )
    batch_messages: int = Field(default=10_000, ge=1, description="Most mails in one batch")
    batch_bytes: int = Field(
        default=256_000_000, ge=1_000_000, description="Most bytes in one batch, about"
    )
    timeout_seconds: float = Field(default=60, gt=0, description="Patience with one answer")
    attempts: int = Field(default=6, ge=1, description="Tries before giving up")

    @field_validator("folders", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("folders")
    @classmethod
    def _named(cls, value: list[str]) -> list[str]:
        for name in value:
            if not name.strip() or "\0" in name or "\n" in name or "\r" in name:
                raise ValueError("names no folder; write INBOX, Support/2024, or Support/*")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ImapSettings:
        if isinstance(self.auth, OAuth2Auth) == (self.mailbox is None):
            raise ValueError("auth oauth2 needs `mailbox`, whose mails are read; others take none")
        if isinstance(self.auth, OAuth2Auth) and self.security == "none":
            raise ValueError("security: none would send the token in clear; use tls or starttls")
        return self


def check_imap(connection: str | None) -> None:
    """Hold a mailbox against the source's connection.

    Raises:
        ValueError: there is nothing to take host, login and password from.
    """
    if connection is None:
        raise ValueError("connection is missing; it holds the mail server's host, login, password")
