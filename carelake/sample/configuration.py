"""The `sources.yml` and `carelake.yml` that come with the sample."""

from __future__ import annotations

import re
from collections.abc import Collection

from carelake.sample.people import OWN_DOMAIN, OWN_HANDLE, OWN_PHONE
from carelake.sample.systems import SOURCES

SETTINGS = f"""\
# Settings of the made-up company; everything left out keeps its default.
reporting_timezone: Asia/Shanghai
default_region: CN
business_hours:
  mon: ["09:00-12:00", "13:00-18:00"]
  tue: ["09:00-12:00", "13:00-18:00"]
  wed: ["09:00-12:00", "13:00-18:00"]
  thu: ["09:00-12:00", "13:00-18:00"]
  fri: ["09:00-12:00", "13:00-18:00"]
  sat: ["10:00-16:00"]
holidays: ["2024-01-01", "2024-02-12", "2024-02-13", "2024-02-14", "2024-04-04", "2024-05-01"]
unanswered_days: 3
ces_easy_is: low # its surveys ask how much effort it took
own_identities:
  domains: ["{OWN_DOMAIN}"]
  phones: ["{OWN_PHONE}"]
  handles: ["{OWN_HANDLE}"]
"""

_HEAD = """\
# What the made-up company's systems hand over, and what each column means to us.
sources:
"""


def source_list(delivered: Collection[str]) -> str:
    """Return the text of `sources.yml`: the entries of the sources that delivered anything.

    A tiny company may have had, say, no social posts; a source without files would be a failure.
    """
    entries = re.split(r"\n+(?=  - name: )", "\n".join(SOURCES).strip("\n"))
    names = [entry.split("\n")[0].removeprefix("  - name: ") for entry in entries]
    kept = [entry for name, entry in zip(names, entries, strict=True) if name in delivered]
    return _HEAD + "\n\n".join(kept) + "\n"
