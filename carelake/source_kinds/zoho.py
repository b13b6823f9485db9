"""Kind `zoho`: contacts, accounts, calls, tasks, cases, deals and users of Zoho CRM, API version 8.

Each module is read by `If-Modified-Since` and turned by `page_token`, which has no end at 2,000 records;
what was deleted is a listing of its own, read with it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carelake.source_kinds.oauth import OAuth2Auth
from carelake.source_kinds.rest import (
    CountAsked,
    CursorPages,
    Incremental,
    MoreListing,
    NumberedPages,
    RestSettings,
)
from carelake.source_kinds.services import ObjectRule, ServiceRule, TimedSettings

Object = Literal["contacts", "accounts", "calls", "tasks", "cases", "deals", "users"]
BASE = "crm/v8"


class ZohoSettings(TimedSettings):
    """What is read of an organisation."""

    objects: list[Object] = Field(
        default=["contacts", "accounts", "calls", "tasks", "cases", "deals", "users"],
        description="What is read; all if unset",
    )
    accounts: str = Field(
        default="https://accounts.zoho.com",
        description="Where tokens are fetched: https://accounts.zoho.eu, .in, .com.cn, ...",
    )


FIELDS: dict[str, tuple[str, ...]] = {
    "contacts": (
        "Full_Name", "Email", "Phone", "Mobile", "Mailing_City", "Mailing_Country", "Account_Name",
    ),
    "accounts": ("Account_Name", "Phone", "Billing_City", "Billing_Country"),
    "calls": (
        "Subject", "Call_Type", "Call_Status", "Call_Start_Time", "Call_Duration_in_seconds", "Who_Id",
        "What_Id", "Description",
    ),
    "tasks": ("Subject", "Status", "Due_Date", "Closed_Time", "Who_Id", "What_Id", "Description"),
    "cases": (
        "Case_Number", "Subject", "Status", "Case_Origin", "Case_Reason", "Type", "Related_To",
        "Account_Name", "Reported_By", "Email", "Phone", "Description",
    ),
    "deals": (
        "Deal_Name", "Amount", "Stage", "Probability", "Closing_Date", "Contact_Name", "Account_Name",
    ),
}  # fmt: skip
"""What the shapes read, beside `id` and the owner and times that every module has."""
EVERYWHERE = ("Owner", "Created_Time", "Modified_Time")


def _ask(settings: ZohoSettings, name: str) -> RestSettings:
    auth = OAuth2Auth(
        token_url=f"{settings.accounts.rstrip('/')}/oauth/v2/token",
        grant="refresh_token",
        scheme="Zoho-oauthtoken",
    )
    numbered = NumberedPages(param="page", first=1, more="info.more_records")
    if name == "users":
        # a few hundred at most: read whole, landed when one changed
        params = {"type": "AllUsers", "per_page": "200"}
        return RestSettings(
            endpoint=f"{BASE}/users", params=params, auth=auth, pages=numbered, **settings.patience
        )
    module = f"{BASE}/{name.capitalize()}"
    fields = [*FIELDS[name], *settings.fields.get(name, []), *EVERYWHERE]
    return RestSettings(
        endpoint=module,
        # by id: a record that changes while pages turn keeps its place
        params={
            "fields": ",".join(dict.fromkeys(fields)),
            "sort_by": "id",
            "sort_order": "asc",
            "per_page": "200",
        },
        auth=auth,
        pages=CursorPages(path="info.next_page_token", param="page_token"),
        incremental=Incremental(
            field="Modified_Time",
            since_param="If-Modified-Since",
            place="header",
            look_back=settings.look_back,
            initial=settings.initial,
        ),
        also=[
            MoreListing(
                endpoint=f"{module}/deleted",
                params={"type": "all", "per_page": "200"},
                field="deleted_time",
                pages=numbered,
            )
        ],
        # of calls and tasks we leave out those that are only planned, and they count them
        count=None
        if name in ("calls", "tasks")
        else CountAsked(endpoint=f"{module}/actions/count", path="count"),
        **settings.patience,
    )


SERVICE = ServiceRule(
    {
        "contacts": ObjectRule("customers", "id", "data"),
        "accounts": ObjectRule("customers", "id", "data"),
        "calls": ObjectRule("communications", "id", "data"),
        "tasks": ObjectRule("communications", "id", "data"),
        "cases": ObjectRule("conversations", "id", "data"),
        "deals": ObjectRule("orders", "id", "data"),
        "users": ObjectRule("agents", "id", "users"),
    },
    _ask,
)
