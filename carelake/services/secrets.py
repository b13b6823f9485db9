"""Passwords and signing keys of a home: made once, kept in `state/secrets.json` (0600)."""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carelake.errors import ConfigError
from carelake.services.files import write_private

if TYPE_CHECKING:
    from carelake.settings import Home

USER = "admin"
AUTH_DATABASE = "basic_auth.db"
"""Where MLflow keeps who may log in, beside its runs."""


def _password() -> str:
    return secrets.token_urlsafe(12)


def _key() -> str:
    return secrets.token_urlsafe(48)


class Secrets(BaseModel):
    """What the servers of one home share among themselves, and the passwords people log in with."""

    model_config = ConfigDict(frozen=True)

    airflow_password: str = Field(default_factory=_password)
    mlflow_password: str = Field(default_factory=_password)
    docs_password: str = Field(default_factory=_password)
    jwt_secret: str = Field(default_factory=_key)
    api_secret_key: str = Field(default_factory=_key)
    mlflow_secret_key: str = Field(default_factory=_key)
    fernet_key: str = Field(
        default_factory=lambda: base64.urlsafe_b64encode(os.urandom(32)).decode()
    )

    @classmethod
    def of(cls, home: Home) -> Secrets:
        """The secrets of this home; what is not there yet, or came with an upgrade, is made.

        Raises:
            ConfigError: the file is damaged.
        """
        path = home.state / "secrets.json"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = "{}"
        try:
            kept = cls.model_validate_json(text)
        except ValidationError:
            # what it held may be half there: the message names the file and no value
            raise ConfigError(
                f"{path}: is damaged; put a copy back, or remove it together with "
                f"{home.mlflow_dir / AUTH_DATABASE}: new passwords are then made"
            ) from None
        if len(kept.model_fields_set) < len(cls.model_fields):
            write_private(path, json.dumps(kept.model_dump(), indent=2))
        return kept
