"""Tweets to airlines, Chinese reviews and real mail: read, told apart by language, masked."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_data.conftest import RealRun

pytestmark = pytest.mark.slow

SOURCES = """
sources:
  - name: airline_tweets
    kind: files
    path: {tweets}
    format: csv
    entity: communications
    channel: social
    columns:
      communication_id: tweet_id
      sent_at: tweet_created
      handle: name
      body: text
      category: negativereason
    attributes: [airline_sentiment, airline]
    timestamps: "%d-%m-%Y %H:%M"
    timezone: America/Los_Angeles
  - name: delivery_reviews
    kind: files
    path: {reviews}
    format: csv
    entity: communications
    channel: social
    columns: {{body: review}}
    attributes: [label]
  - name: inbox
    kind: mbox
    path: {inbox}
"""
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")
LONG_NUMBER = re.compile(r"\d{11,}")


def read_gz(path: Path) -> list[dict[str, str]]:
    """A packed CSV file, read without Carelake."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def mails(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Every single mail file put into one mailbox, and how many there are."""
    mailbox = tmp_path_factory.mktemp("mail") / "inbox.mbox"
    found = sorted((shared_data / "emails").rglob("*.eml"))
    with mailbox.open("wb") as file:
        for path in found:
            content = path.read_bytes().replace(b"\r\n", b"\n")
            content = content.split(b"\n", 1)[1] if content.startswith(b"From ") else content
            content = re.sub(rb"(?m)^(>*From )", rb">\1", content)
            file.write(b"From x@example.com Thu Jan  1 00:00:00 2004\n" + content + b"\n\n")
    return mailbox, len(found)


@pytest.fixture(scope="module")
def messages(
    run_real: Callable[..., RealRun], shared_data: Path, mails: tuple[Path, int]
) -> RealRun:
    """One run over the three."""
    return run_real(
        SOURCES.format(
            tweets=shared_data / "twitter_airline" / "twitter_airline_dev.csv.gz",
            reviews=shared_data / "waimai" / "waimai_dev.csv.gz",
            inbox=mails[0],
        )
    )


def test_every_message_is_a_row_or_a_reject(
    messages: RealRun, shared_data: Path, mails: tuple[Path, int]
) -> None:
    account = messages.account()
    tweets = read_gz(shared_data / "twitter_airline" / "twitter_airline_dev.csv.gz")
    once = len({tweet["tweet_id"] for tweet in tweets})
    assert account["airline_tweets"]["physical"] == len(tweets)
    assert account["airline_tweets"]["staged"] == once < len(tweets)
    reviews = read_gz(shared_data / "waimai" / "waimai_dev.csv.gz")
    assert account["delivery_reviews"]["staged"] == len(reviews) == 9_564
    inbox = account["inbox"]
    assert inbox["physical"] == mails[1]
    assert inbox["staged"] > 0.95 * mails[1]
    rejected = messages.ask("select count(*) from rejected_rows where source_name = 'inbox'")
    assert rejected == [(inbox["rejected"] + inbox["structural_rejects"],)]


def test_each_source_is_in_its_language(messages: RealRun) -> None:
    shares = dict(
        messages.ask("""
            select source_name, avg((language = expected)::integer)::double from (
                select *, if(source_name = 'delivery_reviews', 'zh', 'en') as expected
                from fct_communications
            ) group by source_name
        """)
    )
    assert shares["delivery_reviews"] > 0.99
    assert shares["airline_tweets"] > 0.99
    assert shares["inbox"] > 0.98


def test_sentiments_stay_with_the_tweet(messages: RealRun, shared_data: Path) -> None:
    tweets = read_gz(shared_data / "twitter_airline" / "twitter_airline_dev.csv.gz")
    said = {tweet["tweet_id"]: tweet["airline_sentiment"] for tweet in tweets}
    found = messages.ask("""
        select attributes ->> 'airline_sentiment' as sentiment, count(*)
        from fct_communications where source_name = 'airline_tweets' group by all
    """)
    assert {sentiment for sentiment, _ in found} == set(said.values())
    assert sum(count for _, count in found) == len(said)


def test_times_of_mails_are_plausible(messages: RealRun) -> None:
    assert messages.ask("""
        select count(*) filter (where sent_at < timestamptz '1970-01-01' or sent_at > current_date),
            count(sent_at) > 900
        from fct_communications where source_name = 'inbox'
    """) == [(0, True)]


def test_no_address_and_no_long_number_is_published(messages: RealRun) -> None:
    texts = messages.ask(
        "select concat_ws(' ', subject_masked, text_masked) from fct_communications"
    )
    assert [text for (text,) in texts if EMAIL.search(text) or LONG_NUMBER.search(text)] == []
    masked = sum("‹email›" in text for (text,) in texts)
    assert masked > 100
