"""A container's health check: does an address answer, and is that part of Airflow healthy?

    python -m carelake.services.health http://localhost:8080/api/v2/monitor/health scheduler

Imports the standard library only: it runs every few seconds, and must not cost more than what it
watches.
"""

from __future__ import annotations

import json
import sys
import urllib.request


def problem(url: str, parts: list[str]) -> str | None:
    """What is wrong, None when all is well.

    Args:
        url: an address that answers without a password.
        parts: parts of Airflow whose `status` in the answer must be healthy; none: any 200 will do.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            content = answer.read()
        states = json.loads(content) if parts else {}
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    for part in parts:
        state = (states.get(part) or {}).get("status")
        if state != "healthy":
            return f"{part} is {state}"
    return None


if __name__ == "__main__":
    sys.exit(problem(sys.argv[1], sys.argv[2:]))
