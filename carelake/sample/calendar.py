"""The sample's calendar: everything happens from 1 January 2024, in China's one time zone."""

from __future__ import annotations

from datetime import datetime, timedelta

START = datetime(2024, 1, 1)
UTC_OFFSET = timedelta(hours=8)
"""China has had no daylight saving since 1991, so local time is UTC plus a constant."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def at(day: float) -> datetime:
    """Return the local time `day` days (a fraction is fine) after the start, to the second."""
    return START + timedelta(seconds=round(day * 86_400))


def after(moment: datetime, minutes: float) -> datetime:
    """Return the time some minutes later, to the second."""
    return moment + timedelta(seconds=round(minutes * 60))


def iso_utc(moment: datetime) -> str:
    """Format a local time as UTC with milliseconds, `2024-01-05T01:31:22.000Z`."""
    return (moment - UTC_OFFSET).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def iso_offset(moment: datetime) -> str:
    """Format a local time with its offset, `2024-01-05T09:31:22+08:00`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S+08:00")


def plain(moment: datetime) -> str:
    """Format a local time as databases do, `2024-01-05 09:31:22`."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def slashed(moment: datetime) -> str:
    """Format a local time as spreadsheets do, `2024/01/05 09:31`."""
    return moment.strftime("%Y/%m/%d %H:%M")


def chinese(moment: datetime) -> str:
    """Format a local time as a Chinese form does."""
    return (
        f"{moment.year}年{moment.month:02d}月{moment.day:02d}日 "
        f"{moment.hour:02d}:{moment.minute:02d}"
    )


def posted(moment: datetime) -> str:
    """Format a local time as social networks do, `Fri Jan 05 09:31:22 +0800 2024`."""
    day, month = WEEKDAYS[moment.weekday()], MONTHS[moment.month - 1]
    return f"{day} {month} {moment.day:02d} {moment:%H:%M:%S} +0800 {moment.year}"


def mailed(moment: datetime) -> str:
    """Format a local time as RFC 5322 asks, `Fri, 05 Jan 2024 09:31:22 +0800`."""
    day, month = WEEKDAYS[moment.weekday()], MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S} +0800"
