"""Kind `salesforce`: contacts, accounts, cases, calls, mails, opportunities and users of an org.

Each object is one SOQL query by `SystemModstamp`, sent to `queryAll`, which also gives what was
deleted or merged.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carelake.source_kinds.oauth import OAuth2Auth
from carelake.source_kinds.rest import CountAsked, Incremental, NextLink, RestSettings, WindowText
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["contacts", "accounts", "cases", "emails", "tasks", "opportunities", "users"]


class SalesforceSettings(TimedSettings):
    """What is read of an org."""

    objects: list[Object] = Field(
        default=["contacts", "accounts", "cases", "emails", "tasks", "opportunities", "users"],
        description="What is read; all if unset",
    )
    version: str = Field(default="60.0", pattern=r"^\d+\.0$", description="Of the API")
    login: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials", description="How the connected app logs in"
    )


TYPES: dict[str, str] = {
    "contacts": "Contact",
    "accounts": "Account",
    "cases": "Case",
    "emails": "EmailMessage",
    "tasks": "Task",
    "opportunities": "Opportunity",
    "users": "User",
}

FIELDS: dict[str, tuple[str, ...]] = {
    "contacts": (
        "MasterRecordId", "AccountId", "Name", "Email", "Phone", "MobilePhone", "MailingCity",
        "MailingCountry", "OwnerId", "CreatedDate", "IsDeleted",
    ),
    "accounts": (
        "MasterRecordId", "Name", "Phone", "BillingCity", "BillingCountry", "OwnerId", "CreatedDate",
        "IsDeleted",
    ),
    "cases": (
        "CaseNumber", "ContactId", "AccountId", "SuppliedName", "SuppliedEmail", "SuppliedPhone",
        "Origin", "Status", "IsClosed", "Type", "Reason", "Subject", "Description", "OwnerId",
        "CreatedDate", "ClosedDate", "IsDeleted",
    ),
    "emails": (
        "ParentId", "RelatedToId", "Incoming", "FromAddress", "FromName", "ToAddress", "Subject",
        "TextBody", "HtmlBody", "MessageDate", "Status", "ReplyToEmailMessageId", "CreatedById",
        "IsDeleted",
    ),
    "tasks": (
        "WhoId", "WhatId", "AccountId", "TaskSubtype", "Type", "CallType", "CallDurationInSeconds",
        "Subject", "Description", "Status", "OwnerId", "ActivityDate", "CompletedDateTime",
        "CreatedDate", "IsClosed", "IsDeleted",
    ),
    "opportunities": (
        "AccountId", "ContactId", "Name", "Amount", "StageName", "IsClosed", "IsWon", "CloseDate",
        "OwnerId", "CreatedDate", "IsDeleted",
    ),
    "users": ("Name", "Email", "Phone", "UserRole.Name", "Manager.Name", "IsActive"),
}  # fmt: skip
"""What the shapes read, beside `Id` and `SystemModstamp`."""


def _condition(settings: SalesforceSettings, name: str) -> str:
    """Which records; a mail that is read as one is not read as a task once more."""
    if name == "tasks" and "emails" in settings.chosen:
        return "TaskSubtype != 'Email'"
    return ""


def _ask(settings: SalesforceSettings, name: str) -> RestSettings:
    fields = ["Id", *FIELDS[name], *settings.fields.get(name, []), "SystemModstamp"]
    condition = _condition(settings, name)
    where = f" WHERE {condition}" if condition else ""
    selected = ", ".join(dict.fromkeys(fields))
    query = f"SELECT {selected} FROM {TYPES[name]}{where}{{window}} ORDER BY SystemModstamp, Id"
    base = f"services/data/v{settings.version}"
    return RestSettings(
        endpoint=f"{base}/queryAll",
        params={"q": query},
        # no token lasts longer than a session, and no answer says how long that is
        auth=OAuth2Auth(token_url="/services/oauth2/token", grant=settings.login),
        pages=NextLink(path="nextRecordsUrl"),
        incremental=Incremental(
            field="SystemModstamp",
            since_param="q",
            look_back=settings.look_back,
            initial=settings.initial,
            window=WindowText(
                since="SystemModstamp >= {time}",
                until="SystemModstamp < {time}",
                begin=" AND " if condition else " WHERE ",
            ),
        ),
        count=None if name == "tasks" else _count(base, TYPES[name]),
        **settings.patience,
    )


def _count(base: str, kind: str) -> CountAsked:
    """How many there are; not of tasks, as to-dos among them make no row."""
    query = f"SELECT COUNT() FROM {kind}{{window}}"
    return CountAsked(endpoint=f"{base}/query", params={"q": query}, path="totalSize")


def _object(entity: str) -> ObjectRule:
    return ObjectRule(entity, "Id", "records")  # type: ignore[arg-type]


SERVICE = ServiceRule(
    {
        "contacts": _object("customers"),
        "accounts": _object("customers"),
        "cases": _object("conversations"),
        "emails": _object("communications"),
        "tasks": _object("communications"),
        "opportunities": _object("orders"),
        "users": _object("agents"),
    },
    _ask,
)
