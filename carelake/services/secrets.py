"""Passwords and signing keys of a home: made once, kept in `state/secrets.json` (0600)."""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from carelake.services.files import write_private

if TYPE_CHECKING:
    from carelake.settings import Home

USER = "admin"


class Secrets(BaseModel):
    """What the servers of one home share among themselves, and the password people log in with."""

    model_config = ConfigDict(frozen=True)

    airflow_password: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str

    @classmethod
    def of(cls, home: Home) -> Secrets:
        """The secrets of this home; the first call makes them."""
        path = home.state / "secrets.json"
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            made = cls(
                airflow_password=secrets.token_urlsafe(12),
                jwt_secret=secrets.token_urlsafe(48),
                api_secret_key=secrets.token_urlsafe(32),
                fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            )
            write_private(path, json.dumps(made.model_dump(), indent=2))
            return made
