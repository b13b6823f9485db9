"""The gate: what a run adds must meet the suites that lie here as files.

`suites/<layer>__<subject>.json` are Great Expectations suites, `queries/<layer>__<subject>.sql` say
what each of them looks at. A query returns counts and shares, never a person's data, so results,
their pages and their copies hold nothing that an erasure would have to find.
"""

from __future__ import annotations

from expectations.gate import CheckResult, check_layer
from expectations.suites import LAYERS, SuiteFile, load_suites

__all__ = ["LAYERS", "CheckResult", "SuiteFile", "check_layer", "load_suites"]
