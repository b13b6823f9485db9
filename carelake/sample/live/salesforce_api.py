"""Salesforce's REST API over an org: a token, SOQL as far as readers of changes use it, pages."""

from __future__ import annotations

import operator
import re
from datetime import datetime
from typing import Any

from carelake.sample.live.http import Answer, Asked, mark, place_of
from carelake.sample.live.salesforce import FIELDS, Org, Records

KEY, SECRET = "consumer-key", "consumer-secret"
PAGE = 2000
TOKEN = "00D000000000001!sample-session"
_PATH = re.compile(r"/services/data/v(\d+\.0)/(query|queryAll)(?:/(.+))?")
_SOQL = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<kind>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY (?P<order>.+))?"
)
_CONDITION = re.compile(r"(\w+) (>=|<=|!=|=|>|<) (.+)")
_SIGNS = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


class RefusedError(Exception):
    """A query that cannot be answered: Salesforce's code, and its words."""


class SalesforceApi:
    """Answers as `login.salesforce.com` and an org's own host do."""

    def __init__(self, org: Org) -> None:
        """Serve the records of an org."""
        self._records = org.records

    def answer(self, asked: Asked) -> Answer | None:
        """Answer what is asked below `/services`; None to any other path."""
        if asked.path == "/services/oauth2/token":
            return _token(asked)
        found = _PATH.fullmatch(asked.path)
        if found is None:
            return None
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refusal("INVALID_SESSION_ID", "Session expired or invalid", 401)
        version, endpoint, locator = found.groups()
        if locator is None:
            return self._query(asked.query.get("q", ""), endpoint == "queryAll", 0, version)
        place = place_of(locator)
        if place is None or len(place) != 3:
            return _refusal("INVALID_QUERY_LOCATOR", "invalid query locator")
        soql, with_deleted, start = place
        return self._query(soql, with_deleted, start, version)

    def _query(self, soql: str, with_deleted: bool, start: int, version: str) -> Answer:
        try:
            kind, names, found = self._selected(soql, with_deleted)
        except RefusedError as refusal:
            return _refusal(*refusal.args)
        if not names:
            return Answer({"totalSize": len(found), "done": True, "records": []})
        page = _page(kind, found[start : start + PAGE], names, version)
        body = {"totalSize": len(found), "done": start + PAGE >= len(found), "records": page}
        if not body["done"]:
            locator = mark(soql, with_deleted, start + PAGE)
            body["nextRecordsUrl"] = f"/services/data/v{version}/query/{locator}"
        return Answer(body)

    def _selected(self, soql: str, with_deleted: bool) -> tuple[str, list[str], Records]:
        """The type, the fields (none for a count) and the records of a query.

        Raises:
            RefusedError: it cannot be answered.
        """
        parts = _SOQL.fullmatch(soql)
        if parts is None or parts["kind"] not in FIELDS:
            raise RefusedError("MALFORMED_QUERY", f"unexpected token: {soql[:100]}")
        kind, fields, where = parts["kind"], parts["fields"].split(", "), parts["where"]
        conditions = _conditions(where or "")
        names = [] if fields == ["COUNT()"] else [name.partition(".")[0] for name in fields]
        for name in [*names, *(condition[0] for condition in conditions)]:
            if name not in FIELDS[kind]:
                raise RefusedError("INVALID_FIELD", f"No such column '{name}' on entity '{kind}'.")
        try:
            found = [
                record
                for record in self._records[kind]
                if (with_deleted or not record.get("IsDeleted"))
                and all(_holds(record.get(name), *rest) for name, *rest in conditions)
            ]
        except (ValueError, TypeError) as error:
            raise RefusedError("MALFORMED_QUERY", f"filter criterion: {where[:100]}") from error
        order = [name.strip() for name in (parts["order"] or "Id").split(",")]
        found.sort(key=lambda record: [str(record.get(name)) for name in order])
        return kind, names, found


def _conditions(where: str) -> list[tuple[str, str, str]]:
    """The field, the sign and the value of each condition.

    Raises:
        RefusedError: one has another form.
    """
    found = [_CONDITION.fullmatch(text) for text in where.split(" AND ")] if where else []
    if None in found:
        raise RefusedError("MALFORMED_QUERY", f"unexpected token: {where[:100]}")
    return [(one[1], one[2], one[3]) for one in found if one]


def _page(kind: str, records: Records, names: list[str], version: str) -> Records:
    address = f"/services/data/v{version}/sobjects/{kind}"
    return [
        {
            "attributes": {"type": kind, "url": f"{address}/{record['Id']}"},
            **{name: record.get(name) for name in dict.fromkeys(names)},
        }
        for record in records
    ]


def _holds(theirs: Any, sign: str, wanted: str) -> bool:
    """Tell whether a condition is true of a field; quoted is text, plain is a number or a time.

    Raises:
        ValueError: it is neither.
        TypeError: the two cannot be compared.
    """
    if theirs is None:
        return sign == "!="
    if isinstance(theirs, bool):
        one, other = str(theirs).lower(), wanted.lower()
    elif isinstance(theirs, int | float):
        return bool(_SIGNS[sign](float(theirs), float(wanted)))
    elif wanted.startswith("'"):
        one, other = theirs, wanted.strip("'")
    else:
        return bool(_SIGNS[sign](datetime.fromisoformat(theirs), datetime.fromisoformat(wanted)))
    return bool(_SIGNS[sign](one, other))


def _token(asked: Asked) -> Answer:
    if (asked.form.get("client_id"), asked.form.get("client_secret")) != (KEY, SECRET):
        said = {"error": "invalid_client", "error_description": "invalid client credentials"}
        return Answer(said, 401)
    return Answer({"access_token": TOKEN, "instance_url": asked.base, "token_type": "Bearer"})


def _refusal(code: str, message: str, status: int = 400) -> Answer:
    return Answer([{"message": message, "errorCode": code}], status)
