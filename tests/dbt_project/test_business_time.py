"""Business time between two moments: worked by hand, and beside a count of single minutes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dbt_project.conftest import PROJECT

Hours = list[tuple[int, str, str]]
BERLIN: Hours = [(day, "09:00", "12:00") for day in range(1, 6)]
BERLIN += [(day, "13:00", "18:00") for day in range(1, 6)] + [(7, "01:00", "05:00")]


def rendered(text: str) -> str:
    """A model's SQL on tables of plain names."""
    return jinja2.Template(text).render(
        ref=lambda name: name, source=lambda schema, name: f"{schema}_{name}"
    )


@pytest.fixture(scope="module")
def measure() -> Callable[[str, Hours, list[str], str, str], float | None]:
    """Business minutes between two times of a zone, by the project's own model and macro."""
    model = rendered((PROJECT / "models/intermediate/int_business_time.sql").read_text("utf-8"))
    macros = (PROJECT / "macros/business_time.sql").read_text("utf-8")
    ask = jinja2.Template(
        macros
        + """
        select {{ as_minutes(business_ms('until_ms', 'ends') ~ ' - (' ~ business_ms('from_ms', 'begins') ~ ')') }}
        from asked
        asof left join calendar as begins on asked.from_ms >= begins.opens_ms
        asof left join calendar as ends on asked.until_ms >= ends.opens_ms
        """
    ).render()
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    kept: list[object] = []

    def between(
        zone: str, hours: Hours, holidays: list[str], since: str, until: str
    ) -> float | None:
        if kept != [zone, hours, holidays]:
            con.execute(
                "create or replace table int_as_of as select ? as reporting_timezone", [zone]
            )
            con.execute(
                "create or replace table ops_business_hours (day_of_week int, opens time, closes time)"
            )
            con.execute("create or replace table ops_holidays (day date)")
            for row in hours:
                con.execute("insert into ops_business_hours values (?, ?, ?)", row)
            for day in holidays:
                con.execute("insert into ops_holidays values (?)", [day])
            con.execute(f"create or replace table calendar as {model}")
            kept[:] = [zone, hours, holidays]
        con.execute(
            "create or replace temp table asked as select epoch_ms($since::timestamp at time zone $zone) "
            "as from_ms, epoch_ms($until::timestamp at time zone $zone) as until_ms",
            {"since": since, "until": until, "zone": zone},
        )
        row = con.execute(ask).fetchone()
        return None if row is None or row[0] is None else float(row[0])

    return between


@pytest.mark.parametrize(
    ("why", "since", "until", "minutes"),
    [
        ("over lunch", "2024-06-04 11:30", "2024-06-04 13:10", 40),
        ("over a weekend, Sunday's four hours within", "2024-05-31 17:00", "2024-06-03 10:00", 360),
        ("over a holiday", "2024-04-30 17:00", "2024-05-02 09:30", 90),
        ("from before the opening", "2024-06-04 03:00", "2024-06-04 09:05", 5),
        ("all outside", "2024-06-04 19:00", "2024-06-05 08:00", 0),
        ("within lunch", "2024-06-04 12:10", "2024-06-04 12:50", 0),
        ("to the minute of the close", "2024-06-04 17:59", "2024-06-04 18:00", 1),
        ("clocks forward: 1 to 5 is three hours", "2024-03-31 00:00", "2024-03-31 06:00", 180),
        ("clocks back: 1 to 5 is five hours", "2024-10-27 00:00", "2024-10-27 06:00", 300),
        ("a week of 40 hours and four", "2024-06-03 00:00", "2024-06-10 00:00", 2640),
    ],
)  # fmt: skip
def test_business_minutes_by_hand(
    measure: Callable[..., float | None], why: str, since: str, until: str, minutes: float
) -> None:
    assert measure("Europe/Berlin", BERLIN, ["2024-05-01"], since, until) == minutes, why


def test_around_the_clock_is_the_calendar_and_overlaps_count_once(
    measure: Callable[..., float | None],
) -> None:
    always = [(day, "00:00", "23:59") for day in range(1, 8)]  # what 24:00 becomes
    assert measure("Asia/Shanghai", always, [], "2024-06-01", "2024-06-08") == 7 * 1440
    # 23 hours on the day the clocks go forward
    assert measure("Europe/Berlin", always, [], "2024-03-31", "2024-04-01") == 23 * 60
    twice = [(1, "09:00", "13:00"), (1, "12:00", "18:00"), (1, "10:00", "11:00")]
    assert measure("UTC", twice, [], "2024-06-03", "2024-06-04") == 9 * 60


def test_without_business_hours_there_is_no_business_time(
    measure: Callable[..., float | None],
) -> None:
    assert measure("UTC", [], [], "2024-06-03", "2024-06-04") is None


@settings(deadline=None, max_examples=60, derandomize=True, database=None)
@given(
    begins=st.datetimes(dt.datetime(2024, 3, 25), dt.datetime(2024, 4, 8)),
    minutes=st.integers(0, 12_000),
)
def test_it_is_the_count_of_open_minutes(
    measure: Callable[..., float | None], begins: dt.datetime, minutes: int
) -> None:
    begins = begins.replace(second=0, microsecond=0, fold=0)
    zone, holiday = ZoneInfo("Europe/Berlin"), dt.date(2024, 4, 1)
    first = begins.replace(tzinfo=zone).astimezone(dt.UTC)
    if first.astimezone(zone).replace(tzinfo=None) != begins:
        return  # the hour that the clocks leap over: no clock ever showed it
    counted = 0
    for number in range(minutes):
        local = (first + dt.timedelta(minutes=number)).astimezone(zone)
        text = local.strftime("%H:%M")
        counted += local.date() != holiday and any(
            local.isoweekday() == day and opens <= text < closes for day, opens, closes in BERLIN
        )
    until = (first + dt.timedelta(minutes=minutes)).astimezone(zone)
    if until.astimezone(dt.UTC) != first + dt.timedelta(minutes=minutes) or until.fold:
        return
    found = measure(
        "Europe/Berlin", BERLIN, ["2024-04-01"], str(begins), str(until.replace(tzinfo=None))
    )
    assert found == counted
