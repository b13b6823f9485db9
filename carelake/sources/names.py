"""What names of files tell."""

from __future__ import annotations

import re

PAGE = re.compile(r"(?:[._-]|(?<![a-z]))(?:page|part|p)[._-]?\d+", re.IGNORECASE)
"""What tells the pages of one snapshot apart in their names, as in contacts-page-2.json.

A word of its own: shop-20240430.csv and shop-20240501.csv are two snapshots.
"""
