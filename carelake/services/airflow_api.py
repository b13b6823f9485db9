"""The few calls of Airflow's public REST API that a run needs."""

from __future__ import annotations

import datetime as dt
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from carelake.errors import RunFailed

ACTIVE = ("queued", "running")
PAGE = 100
PATIENCE_SECONDS = 30.0


class ServerTrouble(RunFailed):
    """The server failed, not the call: it may be made again."""


class AirflowApi:
    """A logged-in client of one API server; the token is fetched when first needed."""

    def __init__(self, url: str, user: str, password: str, timeout: float = 30.0) -> None:
        """Remember where to call and as whom; `timeout` in seconds per call."""
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._timeout = timeout
        self._token = ""
        # a proxy of the environment has no way to our loopback
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_healthy(self) -> bool:
        """Whether database, scheduler and DAG processor report healthy."""
        try:
            # the first call builds the API that tasks use, for seconds; not while they wait for it
            self._send("GET", "/execution/health", token="")
            state = self._send("GET", "/api/v2/monitor/health", token="")
        except (OSError, RunFailed):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all((state.get(part) or {}).get("status") == "healthy" for part in parts)

    def dags(self) -> list[dict[str, Any]]:
        """Every DAG as the API tells it: `dag_id`, `is_paused`, `next_dagrun_run_after`, ..."""
        return self._pages("/api/v2/dags", "dags")

    def assets(self) -> list[dict[str, Any]]:
        """Every asset: `id`, `name`."""
        return self._pages("/api/v2/assets", "assets")

    def import_errors(self) -> list[dict[str, Any]]:
        """DAG files that do not parse: `filename`, `stack_trace`."""
        return self._pages("/api/v2/importErrors", "import_errors")

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of a DAG."""
        self._call("PATCH", f"/api/v2/dags/{_quoted(dag_id)}", {"is_paused": False})

    def trigger(self, dag_id: str) -> str:
        """Queue a run now; returns its run id."""
        run_id = f"carelake__{dt.datetime.now(dt.UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None}
        self._call("POST", f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", body)
        return run_id

    def runs(
        self, *, states: tuple[str, ...] = (), since: str | None = None
    ) -> list[dict[str, Any]]:
        """Runs of all DAGs, oldest first.

        Args:
            states: only these; all without.
            since: only runs that were made or changed at this ISO time or later.
        """
        query: list[tuple[str, str]] = [("state", state) for state in states]
        if since:
            query.append(("updated_at_gte", since))
        query.append(("order_by", "id"))
        return self._pages("/api/v2/dags/~/dagRuns", "dag_runs", query)

    def tasks_of(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of one run: `task_id`, `state`, `try_number`, `duration`."""
        where = f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}/taskInstances"
        return self._pages(where, "task_instances")

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned, None when it returned nothing."""
        where = f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}"
        try:
            answer = self._call("GET", f"{where}/xcomEntries/return_value?deserialize=true")
        except RunFailed:
            return None
        return answer.get("value")

    def has_queued_events(self, dag_id: str) -> bool:
        """Whether asset events wait to start a run of this DAG."""
        try:
            answer = self._call("GET", f"/api/v2/dags/{_quoted(dag_id)}/assets/queuedEvents")
        except RunFailed as error:
            # "nothing queued" is a 404 there
            if "404" in str(error):
                return False
            raise
        return bool(answer.get("total_entries"))

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool unless it exists."""
        if any(pool["name"] == name for pool in self._pages("/api/v2/pools", "pools")):
            return
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self._call("POST", "/api/v2/pools", body)

    def _pages(
        self, path: str, key: str, query: list[tuple[str, str]] | None = None
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = [*(query or []), ("limit", str(PAGE)), ("offset", str(len(found)))]
            answer = self._call("GET", f"{path}?{urllib.parse.urlencode(page)}")
            found.extend(answer[key])
            if len(found) >= int(answer["total_entries"]) or not answer[key]:
                return found

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call; repeated for a while when the server has trouble of its own.

        With SQLite behind it, Airflow answers 500 when two of its processes write at once. Every
        call here may be made twice: what is made has a name, so a repeat is told as a conflict.
        """
        if not self._token:
            self._token = str(self._send("POST", "/auth/token", self._login, "")["access_token"])
        end: float | None = None
        while True:
            try:
                return self._send(method, path, body, self._token)
            except (ServerTrouble, OSError) as error:
                # from the first trouble on: a call that timed out is made once more at least
                end = end or time.monotonic() + PATIENCE_SECONDS
                if time.monotonic() > end:
                    if isinstance(error, OSError):
                        told = f"Airflow did not answer {method} {path}: {error}"
                        raise RunFailed(told) from error
                    raise
                time.sleep(0.5)

    def _send(self, method: str, path: str, body: Any = None, token: str = "") -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")[:300]
            told = f"Airflow answered {error.code} to {method} {path}: {detail}"
            if error.code == 409 and method == "POST":
                return {}
            raise (ServerTrouble if error.code >= 500 else RunFailed)(told) from error
        except OSError as error:  # a busy machine answers late, a dead server not at all
            raise ServerTrouble(f"Airflow did not answer {method} {path}: {error}") from error
        return dict(json.loads(content)) if content else {}


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
