"""Whom to tell when something failed, is held or is late, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from carelake.setting_groups.base import Strict

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Mail(Strict):
    """Alerts by mail."""

    to: list[str] = Field(min_length=1, description="Who is told")
    sender: str = Field(description="Address the mail comes from")
    host: str = Field(description="SMTP server")
    port: int = Field(default=587, ge=1, le=65535, description="Its port")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is made safe; none only on loopback"
    )
    user: str | None = Field(default=None, description="Login, where the server wants one")
    password_env: str | None = Field(
        default=None, pattern=VARIABLE, description="Environment variable that holds the password"
    )

    @model_validator(mode="after")
    def _whole(self) -> Mail:
        if self.user and not self.password_env:
            raise ValueError(
                "user needs password_env: the name of the environment variable with the password"
            )
        if self.user and self.security == "none" and self.host not in ("127.0.0.1", "localhost"):
            raise ValueError("security: none would send the password in clear; use starttls or tls")
        return self


class Webhook(Strict):
    """Alerts as a JSON post, which chat tools and incident desks take."""

    url: str | None = Field(default=None, pattern="^https?://", description="Where to post")
    url_env: str | None = Field(
        default=None,
        pattern=VARIABLE,
        description="Environment variable with the address, which for chat tools is a secret",
    )
    style: Literal["text", "dingtalk", "feishu", "fields"] = Field(
        default="text",
        description="text: Slack, Teams, Mattermost, Google Chat; dingtalk: also WeCom; "
        "fields: every part of the alert by its name",
    )

    @model_validator(mode="after")
    def _one_address(self) -> Webhook:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("needs url or url_env, and not both")
        return self


class Deadlines(Strict):
    """Minutes from the moment a run is queued after which somebody is told that it is late."""

    ingest: int = Field(default=60, ge=1, description="Of a source's run")
    build: int = Field(default=120, ge=1, description="Of a build")
    train: int = Field(default=240, ge=1, description="Of a training")
    housekeeping: int = Field(default=240, ge=1, description="Of the weekly housekeeping")


class Alerts(Strict):
    """Whom to tell, and when a run is late."""

    mail: Mail | None = Field(default=None, description="Tell by mail")
    webhooks: list[Webhook] = Field(default=[], description="Tell by posts")
    timeout_seconds: int = Field(
        default=10, ge=1, le=60, description="Nothing waits longer than this for an alert to go out"
    )
    airflow_url: str | None = Field(
        default=None, description="Airflow's address in links; else the one it was started with"
    )
    deadline_minutes: Deadlines = Deadlines()
