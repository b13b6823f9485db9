"""The company's CRM as a Salesforce org: what its objects hold at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from carelake.sample.company import Company, conversation_id
from carelake.sample.conversations import Turn
from carelake.sample.live.directory import BEFORE, Contact, Directory
from carelake.sample.live.known import Delivered, utc
from carelake.sample.people import SWITCHBOARD, Agent
from carelake.sample.shopping import Order
from carelake.sample.texts import Spoken

Records = list[dict[str, Any]]
CALLS_QUEUE = "00G000000000001AAA"
"""Owns calls that nobody took."""
_STATUS = {
    "新建": "New",
    "处理中": "In Progress",
    "重新打开": "Reopened",
    "已解决": "Closed",
    "已关闭": "Closed",
}
FIELDS: dict[str, frozenset[str]] = {
    kind: frozenset(["Id", "IsDeleted", "SystemModstamp", *names.split()])
    for kind, names in {
        "User": "Name Email Phone UserRole Manager IsActive",
        "Contact": "MasterRecordId AccountId Name Email Phone MobilePhone MailingCity MailingCountry DoNotCall "
        "HasOptedOutOfEmail OwnerId CreatedDate",
        "Account": "MasterRecordId Name Phone BillingCity BillingCountry OwnerId CreatedDate",
        "Case": "CaseNumber ContactId AccountId SuppliedName SuppliedEmail SuppliedPhone Origin Status IsClosed "
        "Type Reason Priority Subject Description OwnerId CreatedDate ClosedDate",
        "EmailMessage": "ParentId RelatedToId Incoming FromAddress FromName ToAddress Subject TextBody HtmlBody "
        "MessageDate Status ReplyToEmailMessageId CreatedById",
        "Task": "WhoId WhatId AccountId TaskSubtype Type CallType CallDurationInSeconds CallDisposition Subject "
        "Description Status OwnerId ActivityDate CompletedDateTime CreatedDate IsClosed",
        "Opportunity": "AccountId ContactId Name Amount StageName IsClosed IsWon CloseDate OwnerId CreatedDate",
    }.items()
}
"""What may be asked of each type of object; this company has no accounts, and its mails are elsewhere."""


class Org:
    """Records by type of object, as SOQL gives them."""

    def __init__(self, company: Company, delivered: Delivered, until: datetime) -> None:
        """Write down what was known at a moment."""
        self._company, self._delivered, self._until = company, delivered, until
        self._directory = Directory(company, delivered)
        cases = [spoken for spoken in company.on("phone", "in_person") if self._has_case(spoken)]
        seen = [contact for contact in self._directory.contacts if contact.created_at <= until]
        self.records: dict[str, Records] = {
            "User": [_user(agent) for agent in company.agents],
            "Contact": [self._contact(contact) for contact in seen],
            "Account": [],
            "Case": [self._case(spoken) for spoken in cases],
            "EmailMessage": [],
            "Task": [
                self._task(spoken, place, turn)
                for spoken in company.on("phone")
                for place, turn in enumerate(spoken.talk.turns)
                if turn.sent_at <= until
            ],
            "Opportunity": [
                self._opportunity(order) for order in company.orders if order.ordered_at <= until
            ],
        }

    def _contact(self, contact: Contact) -> dict[str, Any]:
        person = contact.person
        is_deleted = contact.deleted_at is not None and contact.deleted_at <= self._until
        changed = contact.changed_at if contact.changed_at <= self._until else BEFORE
        return {
            "Id": contact_id(contact.number),
            "MasterRecordId": contact_id(contact.master) if contact.master else None,
            "AccountId": None,
            "Name": person.name,
            "Email": contact.email or None,
            "Phone": None,
            "MobilePhone": contact.phone or None,
            "MailingCity": person.city,
            "MailingCountry": person.country,
            "DoNotCall": person.do_not_contact,
            "HasOptedOutOfEmail": person.do_not_contact,
            "OwnerId": user_id(person.owner) if person.owner else None,
            "CreatedDate": _time(contact.created_at),
            "IsDeleted": is_deleted or contact.master is not None,
            "SystemModstamp": _time(contact.deleted_at or changed if is_deleted else changed),
        }

    def _has_case(self, spoken: Spoken) -> bool:
        key = conversation_id(spoken.talk)
        has_record = self._delivered.record("crm_cases", key) is not None
        return has_record and spoken.talk.opened_at <= self._until

    def _case(self, spoken: Spoken) -> dict[str, Any]:
        """A case as it was entered, or as it is since it was changed last."""
        talk = spoken.talk
        record = self._delivered.record("crm_cases", conversation_id(talk))
        assert record is not None
        told, changed_at = record.values, datetime.fromisoformat(record.version)
        is_final = changed_at.replace(tzinfo=None) <= self._until
        status = _STATUS[str(told["stage"])] if is_final else "New"
        is_closed = status == "Closed"
        closed = datetime.fromisoformat(str(told["resolved"])) if is_closed else None
        return {
            "Id": case_id(talk.number),
            "CaseNumber": f"{talk.number:08d}",
            "ContactId": contact_id(int(talk.person.crm_id)) if talk.person.crm_id else None,
            "AccountId": None,
            "SuppliedName": None,
            "SuppliedEmail": told["contact_email"],
            "SuppliedPhone": told["contact_phone"],
            "Origin": told["origin"],
            "Status": status,
            "IsClosed": is_closed,
            "Type": talk.need.title() if told["topic"] else None,
            "Reason": None,
            "Priority": talk.priority.title(),
            "Subject": spoken.subject,
            "Description": None,
            "OwnerId": user_id(talk.agent),
            "CreatedDate": _time(talk.opened_at),
            "ClosedDate": _time(closed.replace(tzinfo=None)) if closed else None,
            "IsDeleted": is_final and record.deleted,
            "SystemModstamp": _time(
                changed_at.replace(tzinfo=None) if is_final else talk.opened_at
            ),
        }

    def _task(self, spoken: Spoken, place: int, turn: Turn) -> dict[str, Any]:
        """A call, as the telephone system logs it: it finds the caller by the number."""
        talk, is_lost = spoken.talk, turn.role == "abandoned"
        who = self._delivered.who("call_records", f"C{talk.number:07d}{place}")
        phone = who.get("phone", SWITCHBOARD)
        caller = None if phone == SWITCHBOARD else self._directory.caller(phone, turn.sent_at)
        seconds = 0 if is_lost else turn.seconds
        ended = _time(turn.sent_at + timedelta(seconds=seconds))
        has_case = not is_lost and self._has_case(spoken)
        return {
            "Id": f"00T{talk.number * 100 + place:012d}AAA",
            "WhoId": contact_id(caller) if caller else None,
            "WhatId": case_id(talk.number) if has_case else None,
            "AccountId": None,
            "TaskSubtype": "Call",
            "Type": "Call",
            "CallType": "Inbound" if turn.inbound else "Outbound",
            "CallDurationInSeconds": seconds,
            "CallDisposition": "abandoned" if is_lost else "answered",
            "Subject": "Call",
            "Description": None if is_lost else spoken.lines[place],
            "Status": "Completed",
            "OwnerId": CALLS_QUEUE if is_lost else user_id(talk.agent),
            "ActivityDate": f"{turn.sent_at:%Y-%m-%d}",
            "CompletedDateTime": ended,
            "CreatedDate": _time(turn.sent_at),
            "IsClosed": True,
            "IsDeleted": False,
            "SystemModstamp": ended,
        }

    def _opportunity(self, order: Order) -> dict[str, Any]:
        is_settled = order.changed_at <= self._until
        is_won = not is_settled or order.status in ("paid", "delivered")
        buyer = self._directory.buyer(order)
        return {
            "Id": f"006{int(order.order_id[-6:]):012d}AAA",
            "AccountId": None,
            "ContactId": contact_id(buyer) if buyer else None,
            "Name": order.order_id,
            "Amount": round(order.amount, 2),
            "StageName": "Closed Won" if is_won else "Closed Lost",
            "IsClosed": True,
            "IsWon": is_won,
            "CloseDate": f"{order.ordered_at:%Y-%m-%d}",
            "OwnerId": user_id(order.person.owner) if order.person.owner else None,
            "CreatedDate": _time(order.ordered_at),
            "IsDeleted": False,
            "SystemModstamp": _time(order.changed_at if is_settled else order.ordered_at),
        }


def contact_id(number: int) -> str:
    """Return the id of a contact."""
    return f"003{number:012d}AAA"


def case_id(number: int) -> str:
    """Return the id of a case."""
    return f"500{number:012d}AAA"


def user_id(agent: Agent) -> str:
    """Return the id of a user."""
    return f"005{agent.number:012d}AAA"


def _user(agent: Agent) -> dict[str, Any]:
    return {
        "Id": user_id(agent),
        "Name": agent.name,
        "Email": agent.email,
        "Phone": agent.extension,
        "UserRole": {"Name": agent.team},
        "Manager": {"Name": agent.manager},
        "IsActive": True,
        "SystemModstamp": _time(BEFORE),
    }


def _time(moment: datetime) -> str:
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
