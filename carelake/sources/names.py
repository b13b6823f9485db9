"""What names of files tell."""

from __future__ import annotations

import re

PAGE = re.compile(r"[._-]?(?:page|part|p)[._-]?\d+", re.IGNORECASE)
"""What tells the pages of one snapshot apart in their names, as in contacts-page-2.json."""
