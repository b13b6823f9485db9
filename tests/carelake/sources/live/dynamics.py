"""Dataverse's Web API as its documentation describes it: next links, delta links, annotations.

The envelope and the doubly encoded next link are those of `shared/data/api_fixtures/dynamics365`; the records
are made by the table reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from carelake.source_kinds.dynamics import FIELDS, IDS
from tests.carelake.sources.faulty_api import Answer, Asked, Service

FORMATTED = "@OData.Community.Display.V1.FormattedValue"
LOGICAL = "@Microsoft.Dynamics.CRM.lookuplogicalname"


def guid(number: int) -> str:
    """An id as Dataverse writes it."""
    return f"7b51925c-cde2-e411-80db-{number:012x}"


KIM, OLD, LEE, FIRM, CASE, OWNER, GONE = (guid(n) for n in (1, 2, 3, 10, 20, 30, 21))


def at(minute: int) -> str:
    """A time as Dataverse writes it."""
    return f"2024-05-01T10:{minute:02d}:00Z"


def owned(modified: int, created: int = 0) -> dict[str, Any]:
    """What most records have."""
    return {
        "_ownerid_value": OWNER,
        f"_ownerid_value{LOGICAL}": "systemuser",
        "createdon": at(created),
        "modifiedon": at(modified),
    }


def regards(table: str | None, ident: str | None) -> dict[str, Any]:
    """What an activity is about."""
    return {"_regardingobjectid_value": ident, f"_regardingobjectid_value{LOGICAL}": table}


def records() -> dict[str, list[dict[str, Any]]]:
    """What the environment holds, by table."""
    return {
        "contacts": [
            {"contactid": KIM, "fullname": "Kim 김", "emailaddress1": "kim@example.org", "telephone1": "+1 202 555 0101", "mobilephone": None, "address1_city": "Seattle", "address1_country": "US", "gendercode": 2, f"gendercode{FORMATTED}": "Female", "donotemail": True, "donotphone": True, "preferredcontactmethodcode": 2, "_masterid_value": None, "_parentcustomerid_value": FIRM, **owned(5)},
            {"contactid": OLD, "fullname": "K.", "emailaddress1": "k@example.net", "telephone1": None, "mobilephone": None, "address1_city": "Tacoma", "address1_country": None, "gendercode": None, "donotemail": False, "donotphone": False, "preferredcontactmethodcode": 1, "_masterid_value": KIM, "_parentcustomerid_value": None, **owned(6)},
            {"contactid": LEE, "fullname": "Lee", "emailaddress1": None, "telephone1": None, "mobilephone": "+1 202 555 0102", "address1_city": None, "address1_country": None, "gendercode": None, "donotemail": False, "donotphone": False, "preferredcontactmethodcode": None, "_masterid_value": None, "_parentcustomerid_value": None, **owned(7)},
        ],
        "accounts": [
            {"accountid": FIRM, "name": "Fabrikam", "emailaddress1": "info@fabrikam.example", "telephone1": None, "address1_city": "Bend", "address1_country": "US", "_masterid_value": None, **owned(5)},
        ],
        "phonecalls": [
            {"activityid": guid(40), "subject": "Asks for news", "description": "Nothing yet", "statecode": 1, "actualend": at(33), "directioncode": False, "phonenumber": "+1 202 555 0102", "actualstart": at(30), "actualdurationminutes": 3, **regards("contact", LEE), **owned(34, 29)},
            {"activityid": guid(41), "subject": "To do", "description": None, "statecode": 0, "actualend": None, "directioncode": True, "phonenumber": None, "actualstart": None, "actualdurationminutes": None, **regards(None, None), **owned(35, 35)},
        ],
        "emails": [
            {"activityid": guid(50), "subject": "Late", "description": "<div>Where <b>is</b> it?<br>Kim</div>", "statecode": 1, "statuscode": 4, "actualend": at(11), "directioncode": False, "sender": "k@example.net", "torecipients": "care@fabrikam.example;", "senton": None, "_parentactivityid_value": None, **regards("incident", CASE), **owned(12, 11)},
            {"activityid": guid(51), "subject": "RE: Late", "description": "Tomorrow", "statecode": 1, "statuscode": 3, "actualend": at(20), "directioncode": True, "sender": "care@fabrikam.example", "torecipients": "k@example.net;", "senton": at(19), "_parentactivityid_value": guid(50), **regards("incident", CASE), **owned(20, 18)},
        ],
        "appointments": [
            {"activityid": guid(60), "subject": "Visit", "description": None, "statecode": 1, "actualend": at(55), "scheduledstart": at(50), "actualstart": None, "actualdurationminutes": 5, **regards("account", FIRM), **owned(56, 1)},
        ],
        "incidents": [
            {"incidentid": CASE, "ticketnumber": "CAS-1", "title": "Late", "description": None, "caseorigincode": 2, f"caseorigincode{FORMATTED}": "Email", "casetypecode": 2, f"casetypecode{FORMATTED}": "Problem", "statecode": 1, "statuscode": 5, f"statuscode{FORMATTED}": "Problem Solved", "customersatisfactioncode": 4, "_customerid_value": FIRM, "_primarycontactid_value": OLD, **owned(40, 10)},
            {"incidentid": GONE, "ticketnumber": "CAS-2", "title": "Test", "description": None, "caseorigincode": 1, f"caseorigincode{FORMATTED}": "Phone", "casetypecode": None, "statecode": 0, "statuscode": 2, f"statuscode{FORMATTED}": "On Hold", "customersatisfactioncode": None, "_customerid_value": LEE, "_primarycontactid_value": None, "_ownerid_value": guid(99), f"_ownerid_value{LOGICAL}": "team", "createdon": at(13), "modifiedon": at(14)},
        ],
        "opportunities": [
            {"opportunityid": guid(70), "name": "Doors", "statecode": 1, "actualvalue": 250.25, "estimatedvalue": 300, "actualclosedate": "2024-04-29", "estimatedclosedate": "2024-04-20", "_customerid_value": FIRM, "_parentcontactid_value": KIM, **owned(9)},
            {"opportunityid": guid(71), "name": "Windows", "statecode": 0, "actualvalue": None, "estimatedvalue": 900, "actualclosedate": None, "estimatedclosedate": "2024-07-01", "_customerid_value": FIRM, "_parentcontactid_value": None, **owned(9)},
        ],
        "systemusers": [
            {"systemuserid": OWNER, "fullname": "Sam Service", "internalemailaddress": "sam@fabrikam.example", "address1_telephone1": None, "_businessunitid_value": guid(31), f"_businessunitid_value{FORMATTED}": "Care", "_parentsystemuserid_value": None, "isdisabled": False, "modifiedon": at(0)},
        ],
    }  # fmt: skip


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"customer_id": KIM, "customer_name": "Kim 김", "email": "kim@example.org", "phone": "+1 202 555 0101", "gender": "Female", "city": "Seattle", "country": "US", "preferred_channel": "email", "do_not_contact": "true", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z"},
        {"customer_id": OLD, "merged_into": KIM, "customer_name": "K.", "email": "k@example.net", "city": "Tacoma", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:06:00.000000Z"},
        {"customer_id": LEE, "customer_name": "Lee", "phone": "+1 202 555 0102", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:07:00.000000Z"},
        {"customer_id": FIRM, "customer_name": "Fabrikam", "email": "info@fabrikam.example", "city": "Bend", "country": "US", "agent": OWNER, "created_at": "2024-05-01T10:00:00.000000Z", "updated_at": "2024-05-01T10:05:00.000000Z"},
    ],
    "conversations": [
        {"conversation_id": CASE, "channel": "email", "status": "closed", "category": "Problem", "subject": "Late", "customer_id": OLD, "agent": OWNER, "opened_at": "2024-05-01T10:10:00.000000Z", "closed_at": "2024-05-01T10:40:00.000000Z", "survey_kind": "csat", "survey_score": "4", "survey_at": "2024-05-01T10:40:00.000000Z", "updated_at": "2024-05-01T10:40:00.000000Z"},
        {"conversation_id": GONE, "channel": "phone", "status": "on hold", "subject": "Test", "customer_id": LEE, "opened_at": "2024-05-01T10:13:00.000000Z", "updated_at": "2024-05-01T10:14:00.000000Z"},
    ],
    "communications": [
        {"communication_id": guid(40), "channel": "phone", "direction": "inbound", "customer_id": LEE, "phone": "+1 202 555 0102", "agent": OWNER, "sent_at": "2024-05-01T10:30:00.000000Z", "subject": "Asks for news", "body": "Nothing yet", "duration_seconds": "180", "updated_at": "2024-05-01T10:34:00.000000Z"},
        {"communication_id": guid(41), "channel": "phone", "direction": "outbound", "agent": OWNER, "sent_at": "2024-05-01T10:35:00.000000Z", "subject": "To do", "updated_at": "2024-05-01T10:35:00.000000Z", "is_deleted": "true"},
        {"communication_id": guid(50), "conversation_id": CASE, "channel": "email", "direction": "inbound", "from_address": "k@example.net", "to_address": "care@fabrikam.example", "sent_at": "2024-05-01T10:11:00.000000Z", "subject": "Late", "body": "Where is it?\nKim", "updated_at": "2024-05-01T10:12:00.000000Z"},
        {"communication_id": guid(51), "conversation_id": CASE, "in_reply_to": guid(50), "channel": "email", "direction": "outbound", "from_address": "care@fabrikam.example", "to_address": "k@example.net", "agent": OWNER, "sent_at": "2024-05-01T10:19:00.000000Z", "subject": "RE: Late", "body": "Tomorrow", "updated_at": "2024-05-01T10:20:00.000000Z"},
        {"communication_id": guid(60), "channel": "in_person", "direction": "outbound", "customer_id": FIRM, "agent": OWNER, "sent_at": "2024-05-01T10:50:00.000000Z", "subject": "Visit", "duration_seconds": "300", "updated_at": "2024-05-01T10:56:00.000000Z"},
    ],
    "orders": [
        {"order_id": guid(70), "customer_id": KIM, "ordered_at": "2024-04-29T00:00:00.000000Z", "amount": "250.25", "currency": "USD", "status": "won", "updated_at": "2024-05-01T10:09:00.000000Z"},
        {"order_id": guid(71), "customer_id": FIRM, "ordered_at": "2024-07-01T00:00:00.000000Z", "amount": "900", "currency": "USD", "status": "void", "updated_at": "2024-05-01T10:09:00.000000Z"},
    ],
    "agents": [
        {"agent_id": OWNER, "agent_name": "Sam Service", "email": "sam@fabrikam.example", "team": "Care", "updated_at": "2024-05-01T10:00:00.000000Z"},
    ],
}  # fmt: skip
"""What is in the raw tables after one extract and load, worked out by hand; no NULL is written."""


@dataclass
class Dynamics(Service):
    """An environment of a handful of records; what changed in a table is kept by version."""

    records: dict[str, list[dict[str, Any]]] = field(default_factory=records)
    gone: dict[str, list[str]] = field(default_factory=dict)
    version: int = 0
    junk: list[Any] = field(default_factory=list)
    spoilt = ("customers", "conversations", "communications", "orders", "agents")

    def before(self) -> None:
        """Before the merge and the deletion."""
        self.records = records()
        self.records["contacts"][1] |= {"_masterid_value": None, "modifiedon": at(3)}
        self.gone = {}

    def after(self) -> None:
        """Two contacts merged, one case deleted: what the delta links tell."""
        self.records = records()
        self.records["incidents"].pop()
        self.gone, self.version = {"incidents": [GONE]}, self.version + 1

    def spoil(self) -> int:
        """Put records of no known form on every first page; gives how many are no object there."""
        odd: dict[str, Any] = {name: {"a": 1} for name in set(IDS.values())}
        odd |= {"fullname": [], "actualdurationminutes": "long", "description": {"x": 1}}
        self.junk = ["no record", 17, dict.fromkeys(odd), {}, odd]
        return 2 * len(self.records)

    def log_in(self, asked: Asked) -> Answer | None:
        if asked.path != "/00000000-aaaa-bbbb-cccc-000000000000/oauth2/v2.0/token":
            return None
        form = asked.form
        if form.get("client_secret") != "s3cret" or form.get("scope") != f"{self.url}/.default":
            said = {
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret",
            }
            return Answer(said, 401)
        self.tokens += 1
        self.token = f"eyJ.token-{self.tokens}"
        return Answer({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer({"error": {"code": "0x80040220", "message": "not authorised"}}, 401)
        table = asked.path.removeprefix("/api/data/v9.2/")
        if table not in self.records:
            said = f"Resource not found for the segment '{table}'."
            return Answer({"error": {"code": "0x8006088a", "message": said}}, 404)
        if "$skiptoken" in asked.query:
            # the link comes back exactly as it was given, double encoding and all
            rest = self.places.get(asked.target)
            if rest is None:
                return Answer(
                    {"error": {"code": "0x80041129", "message": "bad paging cookie"}}, 400
                )
            return self._page(table, *rest)
        if "$deltatoken" in asked.query:
            return self._changes(table, asked.query["$deltatoken"])
        known = {IDS[table], *FIELDS[table], "modifiedon"}
        selected = set(asked.query["$select"].split(","))
        assert selected <= known, selected - known
        shown = [
            {k: v for k, v in record.items() if k.partition("@")[0] in selected}
            for record in self.records[table]
        ]
        return self._page(table, shown, 0, "odata.track-changes" in asked.headers.get("Prefer", ""))

    def _changes(self, table: str, token: str) -> Answer:
        if token not in self.places:
            return Answer(
                {"error": {"code": "0x80044355", "message": "delta token has expired"}}, 400
            )
        if token == f"v{self.version}":
            return self._page(table, [], 0, True)
        gone = [
            {"@odata.context": f"{self.url}/api/data/v9.2/$metadata#{table}/$deletedEntity", "id": i, "reason": "deleted"}
            for i in self.gone.get(table, [])
        ]  # fmt: skip
        return self._page(table, [*self.records[table], *gone], 0, True)

    def _page(self, table: str, found: list[dict[str, Any]], start: int, tracked: bool) -> Answer:
        end = start + self.page_size
        body: dict[str, Any] = {"@odata.context": f"{self.url}/api/data/v9.2/$metadata#{table}"}
        body["value"] = found[start:end] + ([] if start else self.junk)
        if end < len(found):
            cookie = "%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522%253e%22"
            path = f"/api/data/v9.2/{table}?$select=x&$skiptoken={cookie}{len(self.places)}-{len(self.requests)}"
            self.places[path] = (found, end, tracked)
            body["@odata.nextLink"] = self.url + path
        elif tracked:
            self.places[f"v{self.version}"] = None
            body["@odata.deltaLink"] = (
                f"{self.url}/api/data/v9.2/{table}?$select=x&$deltatoken=v{self.version}"
            )
        return Answer(body)
