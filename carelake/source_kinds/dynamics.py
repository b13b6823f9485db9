"""Kind `dynamics`: tables of Dynamics 365, through the Web API of Dataverse.

A table is read whole once; the last page has a delta link, which later brings what changed or was
deleted since. That link is the cursor; it holds no secret.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from carelake.source_kinds.oauth import OAuth2Auth
from carelake.source_kinds.rest import NextLink, RestSettings
from carelake.source_kinds.services import ObjectRule, ServiceRule, ServiceSettings

Object = Literal[
    "contacts", "accounts", "phonecalls", "emails", "appointments", "incidents", "opportunities",
    "systemusers",
]  # fmt: skip


class DynamicsSettings(ServiceSettings):
    """What is read of an environment."""

    tenant: str = Field(min_length=1, description="Directory (tenant) id of Microsoft Entra")
    objects: list[Object] = Field(
        default=[
            "contacts", "accounts", "phonecalls", "emails", "appointments", "incidents",
            "opportunities", "systemusers",
        ],
        description="What is read; all if unset",
    )  # fmt: skip
    login: str = Field(
        default="https://login.microsoftonline.com",
        description="Where tokens are fetched; https://login.partner.microsoftonline.cn in China",
    )


IDS: dict[str, str] = {
    "contacts": "contactid",
    "accounts": "accountid",
    "phonecalls": "activityid",
    "emails": "activityid",
    "appointments": "activityid",
    "incidents": "incidentid",
    "opportunities": "opportunityid",
    "systemusers": "systemuserid",
}
ACTIVITY = (
    "subject", "description", "statecode", "actualend", "createdon", "_regardingobjectid_value", "_ownerid_value",
)  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "contacts": (
        "fullname", "emailaddress1", "telephone1", "mobilephone", "address1_city", "address1_country",
        "gendercode", "donotemail", "donotphone", "preferredcontactmethodcode", "_masterid_value",
        "_parentcustomerid_value", "_ownerid_value", "createdon",
    ),
    "accounts": (
        "name", "emailaddress1", "telephone1", "address1_city", "address1_country", "_masterid_value",
        "_ownerid_value", "createdon",
    ),
    "phonecalls": (*ACTIVITY, "directioncode", "phonenumber", "actualstart", "actualdurationminutes"),
    "emails": (
        *ACTIVITY, "directioncode", "sender", "torecipients", "senton", "statuscode",
        "_parentactivityid_value",
    ),
    "appointments": (*ACTIVITY, "scheduledstart", "actualstart", "actualdurationminutes"),
    "incidents": (
        "ticketnumber", "title", "description", "caseorigincode", "casetypecode", "statecode", "statuscode",
        "customersatisfactioncode", "_customerid_value", "_primarycontactid_value", "_ownerid_value",
        "createdon",
    ),
    "opportunities": (
        "name", "statecode", "actualvalue", "estimatedvalue", "actualclosedate", "estimatedclosedate",
        "_customerid_value", "_parentcontactid_value", "_ownerid_value", "createdon",
    ),
    "systemusers": (
        "fullname", "internalemailaddress", "address1_telephone1", "_businessunitid_value",
        "_parentsystemuserid_value", "isdisabled",
    ),
}  # fmt: skip
"""What the shapes read, beside the id and `modifiedon`."""
UNTRACKED = ("systemusers",)
"""Tables that keep no track of changes unless somebody lets them: read whole, as they are small."""


def _ask(settings: DynamicsSettings, name: str) -> RestSettings:
    fields = [IDS[name], *FIELDS[name], *settings.fields.get(name, []), "modifiedon"]
    wishes = ["odata.maxpagesize=1000", 'odata.include-annotations="*"']
    pages: dict[str, Any] = {"path": "@odata.nextLink"}
    if name not in UNTRACKED:
        wishes.append("odata.track-changes")
        pages["resume"] = "@odata.deltaLink"
    return RestSettings(
        endpoint=f"api/data/v9.2/{name}",
        params={"$select": ",".join(dict.fromkeys(fields))},
        headers={
            "Prefer": ",".join(wishes),
            "OData-Version": "4.0",
            "OData-MaxVersion": "4.0",
            "Accept": "application/json",
        },
        auth=OAuth2Auth(
            token_url=f"{settings.login.rstrip('/')}/{settings.tenant}/oauth2/v2.0/token",
            scope="{host}/.default",
        ),
        pages=NextLink(**pages),
        **settings.patience,
    )


SERVICE = ServiceRule(
    {
        "contacts": ObjectRule("customers", "contactid", "value"),
        "accounts": ObjectRule("customers", "accountid", "value"),
        "phonecalls": ObjectRule("communications", "activityid", "value"),
        "emails": ObjectRule("communications", "activityid", "value"),
        "appointments": ObjectRule("communications", "activityid", "value"),
        "incidents": ObjectRule("conversations", "incidentid", "value"),
        "opportunities": ObjectRule("orders", "opportunityid", "value"),
        "systemusers": ObjectRule("agents", "systemuserid", "value"),
    },
    _ask,
)
