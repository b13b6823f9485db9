"""Kind `rest` against a web service on a socket: paging, secrets, windows, faults."""

from __future__ import annotations

import datetime as dt
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from carelake.sources.rest import extract as extract_rest
from tests.carelake.sources.faulty_api import (
    ANSWERS,
    BODIES,
    CHANGES,
    EPOCH,
    FAULTS,
    STYLES,
    Listing,
    serving,
)
from tests.carelake.sources.listings import a_source, extract, landed, newest, wanted

SEQUENCES = int(os.environ.get("REST_SEQUENCES", "40"))


@pytest.mark.parametrize("style", STYLES)
def test_every_way_of_paging_reads_every_record_once_where_nothing_moves(
    style: str, tmp_path: Path
) -> None:
    with serving(Listing(style, total=True).fill(23)) as server:
        result = extract(a_source(server.url, style), tmp_path)
        assert result.outcome == "extracted", result.message
        assert sorted(r["id"] for r in landed(tmp_path)) == list(range(1, 24))
        assert extract(a_source(server.url, style), tmp_path).outcome == "nothing_new"
        server.listing.write(3)
        assert extract(a_source(server.url, style), tmp_path).outcome == "extracted"
    assert newest(landed(tmp_path)) == wanted(server.listing)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", [*ANSWERS, *BODIES])
def test_trouble_on_page_three_is_sat_out_and_loses_and_doubles_nothing(
    fault: str, style: str, tmp_path: Path
) -> None:
    with serving(Listing(style, total=True, faults={2: fault, 3: fault}).fill(23)) as server:
        result = extract(a_source(server.url, style), tmp_path)
        assert result.outcome == "extracted", result.message
        assert {r["fault"] for r in server.listing.requests} == {None, fault}
    assert sorted(r["id"] for r in landed(tmp_path)) == list(range(1, 24))


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("style", ["offset", "page_number"])
def test_a_record_that_slips_to_an_earlier_page_while_pages_turn_is_read(
    style: str, total: bool, tmp_path: Path
) -> None:
    # the first record moves to the end: without a second look the sixth is on no page
    listing = Listing(style, total=total, faults={0: "moved"}).fill(23)
    with serving(listing) as server:
        source = a_source(server.url, style)
        assert extract(source, tmp_path).outcome == "extracted"
    assert newest(landed(tmp_path)) == wanted(listing)


@pytest.mark.parametrize("style", ["next_link", "cursor"])
def test_a_cursor_that_vanished_begins_the_window_anew(style: str, tmp_path: Path) -> None:
    listing = Listing(style, faults={2: "vanished"}).fill(23)
    with serving(listing) as server:
        assert extract(a_source(server.url, style), tmp_path).outcome == "extracted"
    assert newest(landed(tmp_path)) == wanted(listing)


def test_a_service_that_stays_down_is_given_up_and_lands_nothing(tmp_path: Path) -> None:
    waits: list[float] = []
    listing = Listing(faults=dict.fromkeys(range(2, 99), "503")).fill(23)
    with serving(listing) as server:
        result = extract_rest(a_source(server.url), tmp_path, tmp_path, sleep=waits.append)
    assert result.outcome == "failed" and "503" in result.message and "6 tries" in result.message
    assert manifests(tmp_path) == [] and list(tmp_path.rglob("pages*")) == []
    # longer from try to try, never without a pause, with chance in it
    assert len(waits) == 5 and all(0.5 <= wait <= 60 for wait in waits)
    assert len({round(wait, 6) for wait in waits[1:]}) > 1


def test_the_pause_a_service_asks_for_is_kept(tmp_path: Path) -> None:
    waits: list[float] = []
    with serving(Listing(faults={1: "429 after", 3: "429 at"}).fill(12)) as server:
        result = extract_rest(a_source(server.url), tmp_path, tmp_path, sleep=waits.append)
        assert result.outcome == "extracted"
    assert waits[0] == 2.0 and 1.0 <= waits[1] <= 4.0


def test_a_pause_longer_than_allowed_ends_the_run_at_once(tmp_path: Path) -> None:
    with serving(Listing(faults={0: "429 after"}).fill(2)) as server:
        result = extract(a_source(server.url, rest={"longest_wait": "1s"}), tmp_path)
    assert result.outcome == "failed" and "asks to wait 2 s" in result.message


def test_the_next_reading_begins_before_the_newest_record_by_the_look_back(tmp_path: Path) -> None:
    with serving(Listing().fill(23)) as server:
        extract(a_source(server.url), tmp_path)
        server.listing.requests.clear()
        extract(a_source(server.url), tmp_path)
        # record 23 changed at minute 23, the look-back is five
        assert server.listing.requests[0]["asked"]["since"] == "2024-05-01T00:18:00Z"


def test_a_window_beyond_the_cursor_leaves_no_gap_behind(tmp_path: Path) -> None:
    listing = Listing().fill(40)
    with serving(listing) as server:
        source = a_source(server.url)
        late = EPOCH + dt.timedelta(minutes=30)
        assert extract(source, tmp_path, since=late).outcome == "extracted"
        assert newest(landed(tmp_path)).keys() == set(range(30, 41))
        assert extract(source, tmp_path).outcome == "extracted"
    assert newest(landed(tmp_path)) == wanted(listing)


def test_a_window_of_the_past_does_not_move_the_cursor_back(tmp_path: Path) -> None:
    with serving(Listing().fill(40)) as server:
        source = a_source(server.url)
        extract(source, tmp_path)
        extract(source, tmp_path, since=EPOCH, until=EPOCH + dt.timedelta(minutes=9))
        assert extract(source, tmp_path).outcome == "nothing_new"


def test_records_of_the_services_future_do_not_carry_the_cursor_there(tmp_path: Path) -> None:
    listing = Listing().fill(5)
    listing.records[5]["updated_at"] = "2999-01-01T00:00:00Z"
    with serving(listing) as server:
        extract(a_source(server.url), tmp_path)
        listing.fill(1)
        extract(a_source(server.url), tmp_path)
    newest_moment = manifests(tmp_path)[-1].cursor_after["newest"]
    assert newest_moment < "2100"


def test_pages_that_do_not_turn_are_told(tmp_path: Path) -> None:
    # the service has another name for the parameter, and hands out its first page for ever
    pages = {"by": "page_number", "param": "p"}
    with serving(Listing("page_number").fill(23)) as server:
        result = extract(a_source(server.url, rest={"pages": pages}), tmp_path)
    assert result.outcome == "failed" and "correct the parameters of rest.pages" in result.message


def test_a_snapshot_is_landed_whole_and_only_when_something_changed(tmp_path: Path) -> None:
    with serving(Listing().fill(12)) as server:
        source = a_source(server.url, mode="snapshot", rest={"incremental": None})
        assert extract(source, tmp_path).outcome == "extracted"
        assert extract(source, tmp_path).outcome == "nothing_new"
        server.listing.remove(4)
        assert extract(source, tmp_path).outcome == "extracted"
    assert len(landed(tmp_path)) == 12 + 11


def test_no_content_after_the_last_page_is_its_end(tmp_path: Path) -> None:
    with serving(Listing("offset").fill(10)) as server:
        server.says_no_content = True
        assert extract(a_source(server.url, "offset"), tmp_path).outcome == "extracted"
    assert newest(landed(tmp_path)) == wanted(server.listing)


def test_random_sequences_of_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    """REST_SEQUENCES of them, seeded; each ends with a quiet reading, as the next run would be."""
    met: set[str] = set()
    with serving(Listing()) as server:
        for seed in range(SEQUENCES):
            chance = random.Random(seed)
            style = chance.choice(STYLES)
            listing = Listing(
                style,
                page_size=5,
                total=chance.random() < 0.5,
                slow_seconds=0.12,
                faults={n: chance.choice(FAULTS) for n in range(40) if chance.random() < 0.3},
            ).fill(chance.randrange(0, 40))
            server.listing = listing
            landing = tmp_path / f"{seed:04d}"
            landing.mkdir()
            source = a_source(server.url, style, rest={"timeout_seconds": 0.06})
            outcomes = [extract(source, landing) for _ in range(3)]
            met |= {r["fault"] for r in listing.requests if r["fault"]}
            listing.faults = {}
            listing.fill(chance.randrange(0, 3))
            outcomes.append(extract(source, landing))
            said = [outcome.message for outcome in outcomes]
            assert outcomes[-1].outcome != "failed", (seed, said)
            held = newest(landed(landing))
            missing = {k: v for k, v in wanted(listing).items() if held.get(k) != v}
            assert not missing, (seed, style, missing, said)
            strangers = held.keys() - wanted(listing).keys() - listing.removed
            assert not strangers, (seed, strangers)
            assert extract(source, landing).outcome == "nothing_new", seed
    if SEQUENCES >= 40:
        assert met >= set(FAULTS) - {"expired"}, set(FAULTS) - met
    assert set(CHANGES) < set(FAULTS)


# -- the command line ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rest": {"url": "ftp://x"}}, "is no address"),
        ({"rest": {"url": "https://user:pass@host"}}, "put it into the connection"),
        ({"rest": {"headers": {"Authorization": "Bearer x"}}}, "not into this file"),
        ({"rest": {"auth": {"type": "bearer"}}}, "takes secrets from it"),
        ({"columns": {"body": "text"}}, "what is read twice is told by it"),
        ({"rest": {"pages": {"by": "cursor", "path": "n", "place": "body"}}}, "needs `method: POST`"),
        ({"rest": {"incremental": {"field": "u", "since_param": "s", "look_back": "soon"}}}, "is no length of time"),
        ({"rest": {"incremental": {"field": "u"}}}, "since_param is missing"),
        ({"rest": {"incremental": {"field": "u", "since_param": "s", "longest": "1d"}}}, "initial is missing"),
        ({"rest": {"incremental": {"field": "u", "since_param": "s", "is_number": True}}}, "is_number needs format epoch"),
        ({"path": "x.json"}, "kind rest has its own keys: rest"),
        ({"connection": "https://user:pass@host"}, "secrets stay out of here"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_refused_with_its_mend(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        a_source("http://127.0.0.1:9", **change)
