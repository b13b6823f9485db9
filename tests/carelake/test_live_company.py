"""One company through files and through the services it is kept in: the same content, and the truth.

Ids and names of sources differ, and the files are dirty on purpose, so that the fingerprints of the marts cannot be the
same; what they say must be. What a service has no place for is named where it is left out.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carelake.sample import write_sample
from carelake.sample.live.known import Delivered
from carelake.sample.truth import joined
from tests.carelake.content import Content, Point, pairs
from tests.commands import carelake, rows
from tests.conftest import PEPPER, clean_variables

pytestmark = pytest.mark.slow
CUSTOMERS, DAYS, SEED, HALF = 60, 60, 9, "2024-01-31"
WRITTEN, SPOKEN = ("chat", "email", "social"), ("phone", "in_person")


class Served:
    """The company as one process serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0

    @contextmanager
    def until(self, moment: str | None = None) -> Iterator[None]:
        """Serve the company as it was at a moment, as a person would; Ctrl-C ends it."""
        command = [
            sys.executable, "-m", "carelake.cli", "sample", str(self.folder), "--customers", str(CUSTOMERS),
            "--days", str(DAYS), "--seed", str(SEED), "--serve", "--port", str(self.port), *(["--until", moment] if moment else []),
        ]  # fmt: skip
        env = {**clean_variables(), "CARELAKE_HOME": str(self.folder / "none")}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                lines = [process.stdout.readline() for _ in range(3)]
                said = re.search(r"http://127\.0\.0\.1:(\d+)", lines[1])
                assert said is not None, lines
                # a connection that stays the same leads to the same port
                self.port = int(said[1])
                assert lines[2].startswith("next, in another terminal: ")
                yield
            finally:
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 0

    def environment(self, home: Path) -> dict[str, str]:
        """For a `carelake` process that reads what is served."""
        lines = (self.folder / "live" / "connections.sh").read_text(encoding="utf-8").splitlines()
        settings = [line.removeprefix("export ").split("=", 1) for line in lines if "=" in line]
        return {
            **environment(home, self.folder / "live" / "sources.yml"),
            **{name: value.strip("'") for name, value in settings},
        }


def environment(home: Path, sources: Path) -> dict[str, str]:
    """For a `carelake` process on a home."""
    return {
        **clean_variables(), "CARELAKE_HOME": str(home), "CARELAKE_SOURCES": str(sources), "CARELAKE_PEPPER": PEPPER,
        "DO_NOT_TRACK": "1",
    }  # fmt: skip


class Runs:
    """A run from files, one live, and one live in two parts; two at a time."""

    def __init__(self, root: Path) -> None:
        self.company = root / "company"
        served = Served(self.company)
        with ThreadPoolExecutor() as beside:
            with served.until(HALF):
                files_env = environment(root / "files", self.company / "sources.yml")
                files = beside.submit(carelake, "run", env=files_env)
                self.parts_env = served.environment(root / "parts")
                for command in (["init"], ["extract"], ["load"], ["build", "features"]):
                    carelake(*command, env=self.parts_env)
                files.result()
            with served.until():
                rest = beside.submit(carelake, "run", env=self.parts_env)
                self.live_env = served.environment(root / "live")
                carelake("run", env=self.live_env)
                self.fingerprint = carelake("fingerprint", env=self.live_env).stdout
                self.again = carelake("run", env=self.live_env).stdout
                rest.result()
        # what Salesforce deletes is gone with its calls; in files the calls of a deleted case stay
        self.gone = {
            r["id"]
            for r in self._truth("rows")
            if (r["source"], r["disposition"]) == ("crm_cases", "deleted")
        }
        told = [*self._truth("conversations"), *self._truth("messages")]
        moments = {
            utc(one.get("opened_at") or one["sent_at"])
            for one in told
            if one["conversation_id"] in self.gone
        }
        self.from_files = Content(root / "files", without=moments)
        self.from_live = Content(root / "live", without=moments)
        self.removed = [Content(root / name, without=set()) for name in ("files", "live")]

    def truth(self, name: str) -> list[dict[str, Any]]:
        """What was made up, without the cases that were deleted."""
        return [row for row in self._truth(name) if row["conversation_id"] not in self.gone]

    def _truth(self, name: str) -> list[dict[str, Any]]:
        lines = (self.company / "truth" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("live_company"))


def utc(text: str) -> dt.datetime:
    """A time of the truth, which is China's."""
    china = dt.timezone(dt.timedelta(hours=8))
    return dt.datetime.fromisoformat(text).replace(tzinfo=china)


def test_conversations_are_the_same(runs: Runs) -> None:
    files, live = runs.from_files, runs.from_live
    columns = ("n_inbound", "n_outbound", "first_reply_minutes")
    assert live.told(*columns, channels=WRITTEN) == files.told(*columns, channels=WRITTEN)
    # Salesforce has no field of when a telephone was picked up, or somebody was served
    columns = ("n_inbound", "n_outbound")
    assert live.told(*columns, channels=SPOKEN) == files.told(*columns, channels=SPOKEN)
    # X does not tell which colleague wrote
    told = ("chat", "email", "in_person", "phone")
    assert live.told("agent_name", channels=told) == files.told("agent_name", channels=told)
    assert {one["channel"] for one in live.conversations} == {*WRITTEN, *SPOKEN}


def test_a_deleted_case_is_gone_and_live_its_calls_are_too(runs: Runs) -> None:
    files, live = (content.told("has_words", channels=SPOKEN) for content in runs.removed)
    # a call before it that nobody took is in no case
    left = live - runs.from_live.told("has_words", channels=SPOKEN)
    assert not any(has_words for _, _, has_words in left)
    assert {(channel, has_words) for channel, _, has_words in files - live} == {("phone", True)}


def test_messages_are_the_same_word_for_word(runs: Runs) -> None:
    columns = ("channel", "direction", "is_auto_reply", "sent_at", "said", "duration_seconds")
    found, expected = runs.from_live.said(*columns), runs.from_files.said(*columns)
    # Zendesk suspends what says of itself that a machine wrote it: notes of absence
    absences = Counter(
        {m: n for m, n in (expected - found).items() if m[:3] == ("email", "inbound", True)}
    )
    assert found - expected == Counter()
    assert expected - found == absences
    assert absences and found.total() > 800


def test_messages_are_those_that_were_made_up(runs: Runs) -> None:
    end = utc("2024-01-01") + dt.timedelta(days=DAYS)
    expected = Counter(
        (m["channel"], utc(m["sent_at"]), m["text"].strip())
        for m in runs.truth("messages")
        if utc(m["sent_at"]) <= end
    )
    found = Counter(
        (m["channel"], m["sent_at"], m["said"].strip())
        for m in runs.from_live.messages
        if m["direction"] == "inbound" and not m["is_auto_reply"]
    )
    wordless = {key: n for key, n in (found - expected).items() if not key[2]}
    assert found - expected == Counter(wordless)
    # nobody heard what was meant to be said in a call that was not taken
    assert {(channel, moment) for channel, moment, _ in expected - found} == {
        (channel, moment) for channel, moment, _ in wordless
    }
    assert len(wordless) < 0.05 * found.total()


def test_conversations_are_those_that_were_made_up(runs: Runs) -> None:
    expected = Counter((t["channel"], utc(t["opened_at"])) for t in runs.truth("conversations"))
    with_words = [c for c in runs.from_live.conversations if c["has_words"] is not False]
    assert Counter((c["channel"], c["opened_at"]) for c in with_words) == expected


def test_ratings_are_the_same(runs: Runs) -> None:
    def by_conversation(content: Content) -> dict[Any, dict[str, Any]]:
        return {(r["channel"], r["opened_at"]): r for r in content.ratings}

    files, live = by_conversation(runs.from_files), by_conversation(runs.from_live)
    scores = {
        (t["channel"], utc(t["opened_at"])): t["survey_score"] for t in runs.truth("conversations")
    }
    # after calls and visits, and on social media, another tool asked, which is not served
    assert {channel for channel, _ in live} == {"chat", "email"}
    for key, rating in live.items():
        # Zendesk's answers are good and bad, 5 and 1 of ours
        made = scores[key] if key[0] == "chat" else 5 if scores[key] >= 4 else 1
        assert rating["score"] == made
    missing = {key for key in files.keys() - live.keys() if key[0] in ("chat", "email")}
    assert not missing
    for key in files.keys() & live.keys():
        names = ("comment", "responded_at") + (("score",) if key[0] == "chat" else ())
        assert [live[key][name] for name in names] == [files[key][name] for name in names]
    assert len(files.keys() & live.keys()) > 25


def test_orders_are_the_same(runs: Runs) -> None:
    # of a deal Salesforce knows the day, not the time
    assert runs.from_live.orders == runs.from_files.orders
    assert runs.from_live.orders.total() > 100


def known_live(runs: Runs, tmp_path: Path) -> tuple[list[tuple[Point, ...]], set[Point]]:
    """What the services know together, and what a visitor gave beyond one address and one number."""
    made = write_sample(tmp_path / "again", CUSTOMERS, DAYS, SEED)
    delivered = Delivered(made.files)
    first: dict[str, dict[str, str]] = {}
    beyond: set[Point] = set()
    for spoken in made.company.on("chat"):
        who = delivered.who("web_chat", f"K{spoken.talk.number:07d}00")
        contact = first.setdefault(who.get("handle", ""), {})
        beyond |= {(k, v) for k, v in who.items() if contact.setdefault(k, v) != v}
    groups = delivered.kept("crm_contacts", "crm_cases", "orders")
    return [*groups, *(tuple(contact.items()) for contact in first.values())], beyond


def named(point: Point) -> Point:
    """A point as the warehouse writes it: a handle belongs to its channel."""
    kind, value = point
    return (kind, f"chat:{value}") if kind == "handle" else point


def test_people_are_joined_by_the_same_and_by_nothing_else(runs: Runs, tmp_path: Path) -> None:
    files, live = runs.from_files, runs.from_live
    # what only calls and answers of the survey tool name, no service knows
    assert live.points <= files.points
    assert len(live.points) > 0.9 * len(files.points)
    assert live.shared == files.shared & live.points
    groups, beyond = known_live(runs, tmp_path)
    _, leader = joined(groups)
    owners = {named(p): leader[p] for p in leader if p[0] != "crm"}
    expected = pairs({p: owner for p, owner in owners.items() if p in live.points - live.shared})
    assert live.together == expected
    # files join more: by a visitor's second address or number, and by the number beside a post; a contact of Chatwoot
    # has one of each, and X tells none
    assert live.together <= files.together
    extra = {named(p) for p in beyond} | {p for p in files.points if p[1].startswith("social:")}
    joined_by_extra = {p for pair in files.together if extra & set(pair) for p in pair} | extra
    both = {pair for pair in files.together if set(pair) <= live.points}
    assert all(set(pair) <= joined_by_extra for pair in both - live.together)


def test_conversations_belong_to_the_same_people(runs: Runs) -> None:
    def people(content: Content) -> dict[Any, set[str]]:
        counted = Counter((c["channel"], c["opened_at"]) for c in content.conversations)
        return {
            (c["channel"], c["opened_at"]): set(c["points"] or ())
            for c in content.conversations
            if counted[c["channel"], c["opened_at"]] == 1
        }

    files, live = people(runs.from_files), people(runs.from_live)
    assert files.keys() == live.keys()
    strangers = {
        key: (files[key], live[key])
        for key in files
        if files[key] and live[key] and not files[key] & live[key]
    }
    assert not strangers
    # the number somebody called from stands in no task, and a shared address is nobody's
    both = sum(bool(files[key] and live[key]) for key in files)
    assert both > 0.9 * sum(bool(points) for points in files.values())


def test_a_second_reading_brings_nothing_new(runs: Runs) -> None:
    assert carelake("fingerprint", env=runs.live_env).stdout == runs.fingerprint
    assert "nothing" in runs.again, runs.again


PAST = {"customer_history", "column_profile"}
"""What a reading in between has seen of a record, a later one cannot know: the past of two homes may differ, either way
(a version that only said the same again is no change to who knows the one before)."""
PRESENT = """
    select * exclude (valid_from) from customer_history where is_current order by customer_key
"""
PROFILE = "from column_profile where mart <> 'customer_history' order by mart, column_name"


def test_two_parts_are_the_whole(runs: Runs) -> None:
    found = json.loads(carelake("fingerprint", env=runs.parts_env).stdout)
    expected = json.loads(runs.fingerprint)
    assert found.keys() == expected.keys()
    assert {k: (v, found[k]) for k, v in expected.items() if found[k] != v and k not in PAST} == {}
    assert expected["fct_conversations"]["rows"] > 200
    for query in (PRESENT, PROFILE):
        assert rows(query, runs.parts_env) == rows(query, runs.live_env) != []
