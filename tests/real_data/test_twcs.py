"""Support tweets with their reply chains, once by thread id and once by replies alone."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.real_data.conftest import RealRun

pytestmark = pytest.mark.slow

SOURCES = """
sources:
  - name: threads
    kind: files
    path: {folder}/*.csv
    format: csv
    entity: communications
    channel: social
    columns:
      communication_id: tweet_id
      conversation_id: main_tweet_id
      in_reply_to: in_response_to_tweet_id
      sent_at: created_at
      from_address: author_id
      direction: inbound
      body: text
    attributes: [company, Refund, {{name: Battery, promote: true}}]
  - name: reply_chains
    kind: files
    path: {folder}/*.csv
    format: csv
    entity: communications
    channel: social
    columns:
      communication_id: tweet_id
      in_reply_to: in_response_to_tweet_id
      sent_at: created_at
      from_address: author_id
      body: text
"""
SETTINGS = """
own_identities:
  handles: [AmazonHelp, "@AppleSupport"]
"""
Tweet = dict[str, str]


@pytest.fixture(scope="module")
def tweets(shared_data: Path) -> list[Tweet]:
    """The files, read without Carelake; the labelled ones have columns of their own."""
    found = []
    for path in sorted((shared_data / "twcs").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += list(csv.DictReader(file))
    return found


@pytest.fixture(scope="module")
def social(run_real: Callable[..., RealRun], shared_data: Path) -> RealRun:
    """One run over both sources."""
    return run_real(SOURCES.format(folder=shared_data / "twcs"), SETTINGS)


def parent(tweet: Tweet) -> str:
    """The id of the tweet it answers; the files write it as 1234.0."""
    return tweet["in_response_to_tweet_id"].removesuffix(".0")


def sizes(groups: Iterable[str]) -> list[int]:
    """Tweets per thread, ordered."""
    return sorted(Counter(groups).values())


def test_every_tweet_is_loaded_with_its_direction(social: RealRun, tweets: list[Tweet]) -> None:
    inbound = sum(tweet["inbound"] == "True" for tweet in tweets)
    assert len({tweet["tweet_id"] for tweet in tweets}) == len(tweets) == 899
    for source, account in social.account().items():
        assert account["physical"] == account["staged"] == len(tweets), source
    # in one source the file says it, in the other our own handles do
    assert social.ask("""
        select source_name, direction, count(*) from fct_communications group by all order by all
    """) == [
        (source, direction, count)
        for source in ("reply_chains", "threads")
        for direction, count in (("inbound", inbound), ("outbound", len(tweets) - inbound))
    ]


def test_a_thread_is_a_conversation(social: RealRun, tweets: list[Tweet]) -> None:
    found = social.ask("""
        select conversation_key from fct_communications where source_name = 'threads'
    """)
    assert sizes(key for (key,) in found) == sizes(tweet["main_tweet_id"] for tweet in tweets)


def test_replies_alone_tell_the_threads_too(social: RealRun, tweets: list[Tweet]) -> None:
    up = {tweet["tweet_id"]: parent(tweet) for tweet in tweets}

    def root(tweet: str) -> str:
        while up.get(tweet):
            tweet = up[tweet]
        return tweet

    found = social.ask("""
        select conversation_key from fct_communications where source_name = 'reply_chains'
    """)
    expected = sizes(root(tweet) for tweet in up)
    assert sizes(key for (key,) in found) == expected
    assert max(expected) > 2


def test_the_wait_for_an_answer_is_the_threads_own(social: RealRun, tweets: list[Tweet]) -> None:
    threads: dict[str, list[Tweet]] = defaultdict(list)
    for tweet in tweets:
        threads[tweet["main_tweet_id"]].append(tweet)
    answered = 0
    for thread in threads.values():
        asked = min((t["created_at"][:19] for t in thread if t["inbound"] == "True"), default="x")
        answered += any(t["created_at"][:19] >= asked for t in thread if t["inbound"] == "False")
    assert answered > 80
    assert social.ask("""
        select count(*), count(*) filter (where first_reply_minutes < 0) from fct_conversations
        where source_name = 'threads' and first_reply_minutes is not null
    """) == [(answered, 0)]


def test_authors_are_customers_and_we_are_none(social: RealRun, tweets: list[Tweet]) -> None:
    authors = {tweet["author_id"] for tweet in tweets if tweet["inbound"] == "True"}
    assert social.ask("select count(*), sum(n_contact_points)::integer from dim_customers") == [
        (len(authors), len(authors))
    ]
    assert social.ask("""
        select count(*) from fct_communications
        where (direction = 'inbound') <> (customer_key is not null)
    """) == [(0,)]


def test_labels_are_kept_and_a_promoted_one_is_a_column(
    social: RealRun, tweets: list[Tweet]
) -> None:
    def labelled(name: str) -> int:
        return sum(tweet.get(name) == "1.0" for tweet in tweets)

    assert labelled("Refund") > 0
    assert social.ask("""
        select count(*) filter (where attributes ->> 'Refund' = '1.0'),
            count(*) filter (where battery = '1.0')
        from fct_communications where source_name = 'threads'
    """) == [(labelled("Refund"), labelled("Battery"))]
    assert social.ask("""
        select count(*) from fct_conversations
        where source_name = 'threads' and (attributes ->> 'company') is null
    """) == [(0,)]
