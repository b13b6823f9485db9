"""Databases to which the published marts are copied, for people on other machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from carelake.errors import ConfigError
from carelake.setting_groups.base import Strict

PORTS = {"postgresql": 5432, "mysql": 3306}
SCHEMA = r"^[a-z][a-z0-9_]{0,49}$"
"""A name that needs no quotes, and leaves room for the staging schema's longer one."""


class Replica(Strict):
    """One database that is given every publication."""

    kind: Literal["postgresql", "mysql"] = Field(description="mysql is MariaDB too")
    name: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]{0,39})?$",
        description="What messages call it; the kind without",
    )
    host: str = Field(description="Name or address of the server")
    port: int = Field(default=0, ge=0, le=65535, description="5432 or 3306 without")
    database: str = Field(
        default="", description="PostgreSQL's database; MySQL has schemas only and takes none"
    )
    user: str = Field(description="Who writes the marts; it owns the schemas")
    password_env: str | None = Field(
        default=None, description="Environment variable that holds the password"
    )
    password_file: Path | None = Field(
        default=None, description="File whose first line is the password"
    )
    schema_name: str = Field(
        default="marts",
        alias="schema",
        pattern=SCHEMA,
        description="Schema (MySQL: database) of the marts; beside it lies <schema>_staging",
    )
    reader: str | None = Field(
        default="marts_reader",
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$",
        description="Role that may read the marts; made where it is missing. null grants nothing",
    )
    tls: Literal["prefer", "require", "verify"] = Field(
        default="prefer", description="verify also checks the server's certificate and name"
    )
    ca_file: Path | None = Field(default=None, description="Who signed the server's certificate")
    wait_seconds: int = Field(
        default=120, ge=1, description="Patience with readers, and with another replication"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_password_here(cls, content: Any) -> Any:
        if isinstance(content, dict) and "password" in content:
            raise ValueError(
                "a password is never written here; name password_env or password_file instead"
            )
        return content

    @model_validator(mode="after")
    def _makes_sense(self) -> Replica:
        if self.password_env and self.password_file:
            raise ValueError("password_env and password_file exclude each other; keep one")
        if self.kind == "postgresql" and not self.database:
            raise ValueError("database is missing; add the one that takes the marts")
        if self.kind == "mysql" and self.database:
            raise ValueError("MySQL has no databases beside schemas; write schema instead")
        return self

    @property
    def label(self) -> str:
        """What messages, `status` and file names call it."""
        return self.name or self.kind

    @property
    def staging(self) -> str:
        """Schema that is written before anybody sees it."""
        return f"{self.schema_name}_staging"

    @property
    def address(self) -> str:
        """Where it is, without anything secret."""
        database = f"/{self.database}" if self.database else ""
        return f"{self.kind} at {self.host}:{self.port or PORTS[self.kind]}{database}"

    def password(self) -> str | None:
        """The password, None when none is named (the server trusts us, or `.pgpass` has it).

        Raises:
            ConfigError: what should hold it is not there.
        """
        if self.password_env:
            if (found := os.environ.get(self.password_env)) is None:
                raise ConfigError(
                    f"replica '{self.label}': environment variable {self.password_env} is not set; "
                    "set it to the password"
                )
            return found
        if self.password_file:
            try:
                return self.password_file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not UTF-8"
                raise ConfigError(
                    f"replica '{self.label}': {self.password_file} cannot be read ({why}); "
                    "check path and rights"
                ) from error
        return None


def _distinct(replicas: list[Replica]) -> list[Replica]:
    labels = [replica.label for replica in replicas]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"two replicas are called '{label}'; give each a name of its own")
    return replicas


Replicas = Annotated[list[Replica], AfterValidator(_distinct)]
"""Replicas with a name each."""
