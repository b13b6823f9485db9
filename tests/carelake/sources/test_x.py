"""Kind `x` beyond what all kinds are tried with: what is billed, limits, and who stands beside the posts."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.sources.reading import moment_of
from carelake.sources.rest import extract as extract_rest
from tests.carelake.sources.faulty_api import Answer, Asked, serving
from tests.carelake.sources.live.x import ANN, EXPECTED, US, X, at, ident, mentions, post, refused
from tests.carelake.sources.services import Company


@dataclass
class Limited(X):
    """Refuses its first requests as X does where its limit is met."""

    n_refused: int = 1
    seconds: int = 400
    remaining: str = "0"

    def answer(self, asked: Asked) -> Answer:
        if len(self.requests) > self.n_refused:
            return super().answer(asked)
        reset = str(int(time.time()) + self.seconds)
        headers = {"x-rate-limit-reset": reset, "x-rate-limit-remaining": self.remaining}
        told = refused(429, "Too Many Requests", "Too Many Requests")
        return Answer(told.body, 429, headers)


@pytest.fixture
def service() -> Iterator[X]:
    """The account, listening."""
    made = X()
    with serving(made):
        yield made


@pytest.fixture
def company(service: X, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The block of the page on it."""
    return Company("x", tmp_path, service.url, monkeypatch)


def test_each_post_is_read_once_and_again_only_within_the_look_back(
    service: X, company: Company
) -> None:
    company.extract()
    assert service.n_billed == len(service.mentions) + len(service.posts)
    service.n_billed = 0
    assert {result.outcome for result in company.extract()} == {"nothing_new"}
    # mentions of 10:27 and later, posts of 10:30 and later
    assert service.n_billed == 5 + 2
    assert {r.query["start_time"] for r in service.requests[-2:]} <= {
        "2024-05-01T10:27:00Z",
        "2024-05-01T10:30:00Z",
    }


def test_the_page_beside_the_posts_lands_once_and_posts_name_it(
    service: X, company: Company
) -> None:
    """Somebody who is on another page, or on none, has no name; nobody gets another's."""
    service.mentions = [
        post(number, ANN if number % 3 else f"8{number}", f"@Shop {number}", number)
        for number in range(1, 20)
    ]
    company.extract()
    company.load()
    found = company.rows()["communications"]
    from_ann = [row for row in found if row.get("handle") and row["direction"] == "inbound"]
    assert [row["customer_id"] for row in from_ann] == [ANN] * 13
    assert {row.get("handle") for row in found if row.get("customer_id") == ANN} == {"Ann_X"}
    assert {row.get("handle") for row in found if row.get("customer_id", "").startswith("8")} == {
        None
    }
    landed = [
        (manifest.folder(company.ctx.home.landing) / file.landed).read_text("utf-8")
        for manifest in manifests(company.ctx.home.landing)
        for file in manifest.files
    ]
    # as X sent it, which is once a page
    assert sum(text.count('"includes"') for text in landed) == 10 + 2


def test_half_an_emoji_is_mended_and_its_post_keeps_its_author(
    service: X, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that must be mended is read another way: its pages keep their numbers there too."""
    whole = Answer.content.fget  # type: ignore[attr-defined]
    broken = property(lambda answer: whole(answer).replace("👍".encode(), b"\\ud83d"))
    monkeypatch.setattr(Answer, "content", broken)
    company.extract()
    company.load()
    found = {row["communication_id"]: row for row in company.rows()["communications"]}
    assert found[ident(3)]["body"] == "@Shop \ufffd"
    assert {row["handle"] for row in found.values() if row.get("customer_id") == ANN} == {"Ann_X"}
    assert len(found) == len(EXPECTED["communications"])


def test_an_account_nobody_wrote_to_is_no_error(service: X, company: Company) -> None:
    service.mentions, service.posts = [], []
    assert {result.outcome for result in company.extract()} == {"nothing_new"}


def test_an_answer_that_lacks_its_posts_is_an_error(
    service: X, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an answer that says it has none may lack them."""
    monkeypatch.setattr("carelake.sources.patience._Pause.__call__", lambda self, state: 0.0)
    monkeypatch.setattr(X, "_page", lambda *args: Answer({"meta": {"result_count": 3}}))
    results = company.extract()
    assert {result.outcome for result in results} == {"failed"}
    assert "the answer has no data" in str(results[0].message)


@pytest.mark.parametrize(
    ("change", "outcome", "slept"),
    [
        ({}, "extracted", lambda pauses: 395 < pauses[0] <= 401),
        ({"seconds": 2000}, "failed", lambda pauses: pauses == []),
        # requests are left: what is used up is something else, and another pause does not help it
        ({"remaining": "12"}, "extracted", lambda pauses: 0 < pauses[0] < 60),
    ],
)
def test_the_pause_that_a_limit_asks_for_is_kept(
    change: dict[str, Any],
    outcome: str,
    slept: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    made = Limited(**change)
    with serving(made):
        company = Company("x", tmp_path, made.url, monkeypatch)
        home = company.ctx.home
        result = extract_rest(
            company.ctx.sources.sources[0], tmp_path, home.landing, sleep=pauses.append
        )
    assert result.outcome == outcome
    assert slept(pauses), pauses
    if outcome == "failed":
        assert "429 Too Many Requests (Too Many Requests: Too Many Requests)" in str(result.message)
        assert "asks to wait" in str(result.message)


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("und", None),
        ("qme", None),
        ("zxx", None),
        ("in", "id"),
        ("iw", "he"),
        ("ja", "ja"),
        (None, None),
    ],
)
def test_codes_of_x_that_name_no_language_are_none(
    code: str | None, ours: str | None, service: X, company: Company
) -> None:
    service.mentions, service.posts = [post(1, ANN, "@Shop", 1, lang=code)], []
    company.extract()
    company.load()
    assert [row.get("language") for row in company.rows()["communications"]] == [ours]


def test_what_is_asked_for_is_what_the_shape_reads(service: X, company: Company) -> None:
    company.extract()
    first = {request.path: request.query for request in reversed(service.requests)}
    asked = first[f"/2/users/{US}/mentions"]
    assert "exclude" not in asked and first[f"/2/users/{US}/tweets"]["exclude"] == "retweets"
    assert {"public_metrics", "lang", "note_tweet"} <= set(asked["tweet.fields"].split(","))
    assert "public_metrics" not in first[f"/2/users/{US}/tweets"]["tweet.fields"]
    assert set(mentions()[0]) - {"id", "text"} <= set(asked["tweet.fields"].split(","))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 31 Aug 2010 20:36:28 +0000", dt.datetime(2010, 8, 31, 20, 36, 28, tzinfo=dt.UTC)),
        ("Tue, 31 Aug 2010 20:36:28 -0700", dt.datetime(2010, 9, 1, 3, 36, 28, tzinfo=dt.UTC)),
        ("Tue, 31 Aug 2010 20:36:28 GMT", dt.datetime(2010, 8, 31, 20, 36, 28, tzinfo=dt.UTC)),
        ("Tue, 32 Aug 2010 20:36:28 +0000", None),
        ("soon", None),
        (at(5), dt.datetime(2024, 5, 1, 10, 5, tzinfo=dt.UTC)),
    ],
)
def test_times_are_read_as_services_write_them(text: str, expected: dt.datetime | None) -> None:
    assert moment_of(text, "UTC") == expected
