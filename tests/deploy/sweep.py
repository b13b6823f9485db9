"""Ask a server everything it can be asked, without a password and with wrong ones."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from carelake.services.secrets import USER
from tests.deploy.asking import Answer, ask, basic

AIRFLOW = (
    r"/api/v2/version",
    r"/api/v2/monitor/health",
    r"/execution/health(/ping)?",
    # what every Airflow of this version says of its API; nothing of this one
    r"(/auth|/execution)?/(openapi\.json|docs|docs/oauth2-redirect|redoc)",
    r"/execution/changelog",
    # the login page, and the empty page that loads it
    r"/auth/login/?",
    r"(/auth)?/static/.*",
)
"""Paths of Airflow that may answer with content to anybody."""

WRONG = (
    basic(USER, "wrong"),
    basic("reader", ""),
    {"Authorization": "Bearer wrong", "Cookie": "_token=wrong; session=wrong"},
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
KNOWN = {"dag_id": "build_marts", "experiment_id": "1", "name": "before_survey"}


def calls(routes: list[tuple[list[str], str]]) -> list[tuple[str, str]]:
    """Rows (method, path) of all that routes take, and of GET and POST whether they do or not."""
    found = {
        (method, _filled(path))
        for methods, path in routes
        for method in {*methods, "GET", "POST"} & set(METHODS)
    }
    return sorted(found)


def _filled(path: str) -> str:
    """A path in which every parameter has a value, one that exists where we know one."""
    names = re.compile(r"\{(\w+)(?::\w+)?\}|<(?:\w+:)?(\w+)>")
    return names.sub(lambda match: KNOWN.get(match[1] or match[2], "1"), path)


def leaks(url: str, calls: list[tuple[str, str]], allowed: tuple[str, ...]) -> list[str]:
    """Calls that gave something to somebody without the password."""
    shells = {ask(url + page).body for page in ("/", "/auth/login")}

    def attempt(call: tuple[str, str, dict[str, str]]) -> str | None:
        method, path, headers = call
        body = None if method == "GET" else {}
        answer = ask(url + path, method, body, headers)
        if _is_harmless(answer, shells) or any(re.fullmatch(a, path) for a in allowed):
            return None
        return f"{method} {path} {headers}: {answer.status} {answer.body[:80]!r}"

    every: list[tuple[str, str, dict[str, str]]] = [(*call, {}) for call in calls]
    # a wrong password is hashed as a right one is, which takes time: once per path, in turns
    paths = {path: method for method, path in calls if not path.startswith("/ajax-api/")}
    every += [(m, path, WRONG[i % len(WRONG)]) for i, (path, m) in enumerate(paths.items())]
    with ThreadPoolExecutor(4) as several:
        return [found for found in several.map(attempt, every) if found]


def _is_harmless(answer: Answer, shells: set[bytes]) -> bool:
    # a redirect leads to the login, or to another spelling of an address that is asked as well
    if answer.status >= 300 or not answer.body:
        return True
    # Airflow's pages are one page without content, whose scripts ask the API
    return answer.body in shells and b"<script" in answer.body and len(answer.body) < 4000
