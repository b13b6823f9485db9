"""The services of the made-up company answer as the vendors' do: logins, pages, windows, refusals."""

from __future__ import annotations

import base64
import socket
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from carelake.sample import write_sample
from carelake.sample.live import chatwoot_api, salesforce_api, write_live, x, zendesk_api
from carelake.sample.live.chatwoot import Chat
from carelake.sample.live.http import Answer, Asked
from carelake.sample.live.known import Delivered, epoch
from carelake.sample.live.salesforce import FIELDS, Org
from carelake.sample.live.zendesk import Desk
from carelake.sample.write import SampleSummary
from tests.commands import carelake
from tests.conftest import clean_variables

BASE = "http://127.0.0.1:8096"
MIDDLE = datetime(2024, 1, 20, 12)
BASIC = base64.b64encode(f"{zendesk_api.LOGIN}:{zendesk_api.TOKEN}".encode()).decode()
LOGINS = {
    "salesforce": {"authorization": f"Bearer {salesforce_api.TOKEN}"},
    "zendesk": {"authorization": f"Basic {BASIC}"},
    "chatwoot": {"api_access_token": chatwoot_api.TOKEN},
    "x": {"authorization": f"Bearer {x.TOKEN}"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("live") / "company", customers=40, days=40)


class Apis:
    """Every service as it was at a moment."""

    def __init__(self, made: SampleSummary, moment: datetime) -> None:
        company, delivered = made.company, Delivered(made.files)
        self.org, self.desk = Org(company, delivered, moment), Desk(company, delivered, moment)
        self.chat = Chat(company, delivered, moment)
        self.apis: dict[str, Any] = {
            "salesforce": salesforce_api.SalesforceApi(self.org),
            "zendesk": zendesk_api.ZendeskApi(self.desk),
            "chatwoot": chatwoot_api.ChatwootApi(self.chat),
            "x": x.XApi(company, moment),
        }

    def get(self, kind: str, address: str, **query: str) -> Answer:
        """Ask with the right login; an address may hold parameters."""
        parts = urlsplit(address)
        query = {**dict(parse_qsl(parts.query)), **query}
        answer: Answer = self.apis[kind].answer(Asked("GET", parts.path, BASE, query, LOGINS[kind]))
        return answer

    def find(self, what: str, day: str, page: int = 1) -> Answer:
        """Filter conversations or contacts by a day."""
        condition = {"attribute_key": "last_activity_at", "filter_operator": "is_greater_than", "values": [day], "query_operator": None}  # fmt: skip
        path = f"/api/v1/accounts/1/{what}/filter"
        asked = Asked(
            "POST",
            path,
            BASE,
            {"page": str(page)},
            LOGINS["chatwoot"],
            body={"payload": [condition]},
        )
        answer: Answer = self.apis["chatwoot"].answer(asked)
        return answer


@pytest.fixture(scope="module")
def apis(made: SampleSummary) -> Apis:
    return Apis(made, made.company.end)


QUERY = "/services/data/v60.0/queryAll"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("salesforce", QUERY),
        ("zendesk", "/api/v2/users/count.json"),
        ("chatwoot", "/api/v1/accounts/1/agents"),
        ("x", f"/2/users/{x.ACCOUNT}/mentions"),
    ],
)
def test_nobody_reads_without_a_login_and_other_paths_are_left_to_others(
    apis: Apis, kind: str, path: str
) -> None:
    assert apis.apis[kind].answer(Asked("GET", path, BASE)).status == 401
    assert apis.apis[kind].answer(Asked("GET", "/elsewhere", BASE)) is None


def test_salesforce_gives_tokens_for_the_right_secret_alone(apis: Apis) -> None:
    def log_in(secret: str) -> Answer:
        form = {"client_id": salesforce_api.KEY, "client_secret": secret}
        asked = Asked("POST", "/services/oauth2/token", BASE, form=form)
        answer: Answer = apis.apis["salesforce"].answer(asked)
        return answer

    assert log_in("guessed").status == 401
    assert log_in(salesforce_api.SECRET).body["access_token"] == salesforce_api.TOKEN


def test_salesforce_turns_pages_and_holds_conditions(
    apis: Apis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce_api, "PAGE", 7)
    moment = "2024-01-20T04:00:00Z"
    soql = f"SELECT Id, SystemModstamp FROM Opportunity WHERE SystemModstamp >= {moment} ORDER BY SystemModstamp, Id"
    answer = apis.get("salesforce", QUERY, q=soql)
    found = list(answer.body["records"])
    while not answer.body["done"]:
        answer = apis.get("salesforce", answer.body["nextRecordsUrl"])
        found += answer.body["records"]
    expected = [
        r for r in apis.org.records["Opportunity"] if r["SystemModstamp"][:19] >= moment[:19]
    ]
    assert sorted(r["Id"] for r in found) == sorted(r["Id"] for r in expected)
    assert len(found) == answer.body["totalSize"] > 14
    assert found == sorted(found, key=lambda r: (r["SystemModstamp"], r["Id"]))
    large = apis.get(
        "salesforce", QUERY, q="SELECT Id FROM Opportunity WHERE Amount >= 1000 AND IsWon = true"
    ).body
    assert large["totalSize"] == sum(
        r["Amount"] >= 1000 and r["IsWon"] for r in apis.org.records["Opportunity"]
    )
    count = apis.get("salesforce", "/services/data/v60.0/query", q="SELECT COUNT() FROM Contact")
    assert count.body["totalSize"] == sum(not r["IsDeleted"] for r in apis.org.records["Contact"])


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id, Colour FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Colour = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Planet", "MALFORMED_QUERY"),
        ("SELECT Id FROM Case WHERE CreatedDate >= yesterday", "MALFORMED_QUERY"),
        ("SELECT Id FROM Case WHERE Origin", "MALFORMED_QUERY"),
        ("DELETE FROM Contact", "MALFORMED_QUERY"),
    ],
)
def test_salesforce_refuses_what_it_cannot_answer(apis: Apis, soql: str, code: str) -> None:
    answer = apis.get("salesforce", QUERY, q=soql)
    assert (answer.status, answer.body[0]["errorCode"]) == (400, code)


def test_salesforce_answers_for_every_field_also_where_there_is_no_record(apis: Apis) -> None:
    for kind, fields in FIELDS.items():
        for record in apis.org.records[kind]:
            assert record.keys() | {"IsDeleted"} == fields
        query = f"SELECT {', '.join(sorted(fields))} FROM {kind}"
        answer = apis.get("salesforce", QUERY, q=query)
        assert answer.body["totalSize"] == len(apis.org.records[kind])


@pytest.mark.parametrize("name", ["tickets", "users"])
def test_zendesk_exports_everything_once(
    apis: Apis, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(zendesk_api, "EXPORT_PAGE", 3)
    address = f"/api/v2/incremental/{name}/cursor.json"
    assert apis.get("zendesk", address).status == 422
    answer, found = apis.get("zendesk", address, start_time="1"), []
    while True:
        found += answer.body[name]
        if answer.body["end_of_stream"]:
            break
        answer = apis.get("zendesk", answer.body["after_url"])
    expected = apis.desk.tickets if name == "tickets" else apis.desk.users
    assert sorted(one["id"] for one in found) == sorted(one["id"] for one in expected)
    later = apis.get("zendesk", address, start_time=str(epoch(MIDDLE))).body[name]
    assert len(later) < len(found)


def test_zendesk_exports_events_by_time_with_comments_where_asked(
    apis: Apis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zendesk_api, "EXPORT_PAGE", 4)
    address = "/api/v2/incremental/ticket_events.json"
    answer = apis.get("zendesk", address, start_time="1", include="comment_events")
    found: dict[int, Any] = {}
    while True:
        found |= {event["id"]: event for event in answer.body["ticket_events"]}
        if answer.body["end_of_stream"]:
            break
        answer = apis.get("zendesk", answer.body["next_page"])
    assert found.keys() == {event["id"] for event in apis.desk.events}
    assert all(event["child_events"] for event in found.values())
    bare = apis.get("zendesk", address, start_time="1").body["ticket_events"]
    assert not any(c["event_type"] == "Comment" for e in bare for c in e["child_events"])


def test_zendesk_lists_ratings_and_agents_in_pages(apis: Apis) -> None:
    answer = apis.get("zendesk", "/api/v2/satisfaction_ratings.json", **{"page[size]": "1"})
    found = list(answer.body["satisfaction_ratings"])
    while answer.body["meta"]["has_more"]:
        answer = apis.get("zendesk", answer.body["links"]["next"])
        found += answer.body["satisfaction_ratings"]
    assert found == apis.desk.ratings
    assert {r["score"] for r in found} <= {"good", "bad"}
    agents = apis.get("zendesk", "/api/v2/users.json?role[]=agent&role[]=admin").body["users"]
    assert {agent["role"] for agent in agents} == {"agent"}
    assert apis.get("zendesk", "/api/v2/nothing.json").status == 404


def test_chatwoot_filters_by_day_and_gives_messages_one_conversation_at_a_time(apis: Apis) -> None:
    first = apis.find("conversations", "1970-01-01").body
    found, page = list(first["payload"]), 1
    while len(found) < first["meta"]["all_count"]:
        page += 1
        found += apis.find("conversations", "1970-01-01", page).body["payload"]
    assert {c["id"] for c in found} == {c["id"] for c in apis.chat.conversations}
    assert apis.find("conversations", "1970-01-01", page + 1).body["payload"] == []
    later = apis.find("conversations", "2024-01-20").body
    assert 0 < later["meta"]["all_count"] < first["meta"]["all_count"]
    assert apis.find("contacts", "never").status == 422
    ident = found[0]["id"]
    path = f"/api/v1/accounts/1/conversations/{ident}/messages"
    messages = apis.get("chatwoot", path, after="0").body["payload"]
    assert messages == apis.chat.messages[ident]
    rest = apis.get("chatwoot", path, after=str(messages[0]["id"])).body["payload"]
    assert rest == messages[1:]
    assert apis.get("chatwoot", path.replace(str(ident), "999999")).status == 404


def test_contacts_of_the_chat_have_an_address_of_their_own(apis: Apis) -> None:
    contacts = list(apis.chat.contacts.values())
    for name in ("email", "phone_number", "identifier", "id"):
        values = [contact[name] for contact in contacts if contact[name]]
        assert len(values) == len(set(values)) > 0


def test_x_lists_the_newest_first_with_who_wrote_beside(apis: Apis) -> None:
    path = f"/2/users/{x.ACCOUNT}/mentions"
    asked = {"max_results": "5", "tweet.fields": "author_id,created_at"}
    answer, found = apis.get("x", path, **asked), []
    while True:
        found += answer.body["data"]
        named = {user["id"] for user in answer.body["includes"]["users"]}
        assert {post["author_id"] for post in answer.body["data"]} <= named
        if "next_token" not in answer.body["meta"]:
            break
        answer = apis.get("x", path, **asked, pagination_token=answer.body["meta"]["next_token"])
    times = [post["created_at"] for post in found]
    assert times == sorted(times, reverse=True)
    assert len(found) > 5
    since = apis.get("x", path, **asked, start_time="2024-03-01T00:00:00Z")
    assert since.body == {"meta": {"result_count": 0}}
    assert apis.get("x", path, pagination_token="nonsense").status == 400


def test_at_a_moment_nothing_later_is_known_and_ids_stay(made: SampleSummary, apis: Apis) -> None:
    early = Apis(made, MIDDLE)
    assert 0 < len(early.chat.conversations) < len(apis.chat.conversations)
    ids = {c["id"] for c in apis.chat.conversations}
    assert {c["id"] for c in early.chat.conversations} < ids
    last = max(m["created_at"] for some in early.chat.messages.values() for m in some)
    assert last <= epoch(MIDDLE) + 1
    assert max(t["generated_timestamp"] for t in early.desk.tickets) <= epoch(MIDDLE)
    for kind in ("Contact", "Case", "Opportunity"):
        before = {record["Id"] for record in early.org.records[kind]}
        assert before <= {record["Id"] for record in apis.org.records[kind]}
        stamps = [record["SystemModstamp"][:19] for record in early.org.records[kind]]
        assert max(stamps) <= "2024-01-20T04:00:00"


def test_the_source_list_is_one_and_connections_lead_to_this_machine(
    made: SampleSummary, tmp_path: Path
) -> None:
    folder = write_live(made, "http://127.0.0.1:9")
    lines = (folder / "connections.sh").read_text(encoding="utf-8").splitlines()
    settings = dict(s.removeprefix("export ").split("=", 1) for s in lines if "=" in s)
    assert all(value.endswith("@127.0.0.1:9'") for value in settings.values())
    env = {
        **clean_variables(),
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(folder / "sources.yml"),
        **{name: value.strip("'") for name, value in settings.items()},
    }
    carelake("init", env=env)


def test_a_port_that_is_taken_and_rows_that_cannot_be_served_are_told(tmp_path: Path) -> None:
    env = {**clean_variables(), "CARELAKE_HOME": str(tmp_path / "home")}
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = carelake("sample", str(tmp_path / "c"), "--serve", "--port", port, env=env, exit_code=2)  # fmt: skip
    assert f"port {port} is not free" in done.stderr
    assert not (tmp_path / "c").exists()
    done = carelake("sample", str(tmp_path / "c"), "--serve", "--bulk", "9", env=env, exit_code=2)
    assert "--bulk and --serve" in done.stderr
    done = carelake("sample", str(tmp_path / "c"), "--until", "2024-02-01", env=env, exit_code=2)
    assert "--until goes with --serve" in done.stderr
