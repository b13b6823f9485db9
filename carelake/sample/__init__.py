"""The made-up company for demonstration, tests and benchmarks.

`write_sample` writes what a company's systems hand over, dirt included, and beside it the hidden
truth; `write_bulk` writes many plain rows fast. Both depend on their arguments alone.
"""

from __future__ import annotations

from carelake.sample.bulk import BulkSummary, write_bulk
from carelake.sample.write import SampleSummary, write_sample

__all__ = ["BulkSummary", "SampleSummary", "write_bulk", "write_sample"]
