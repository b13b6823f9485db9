"""An Airflow plugin: a page with what was rejected or held, and why, for whoever may read task logs.

It shows counts and reasons, no record's text: that stays on the machine, behind
`carelake quarantine show`.

Every process of Airflow loads its plugins, and only the API server shows pages: what the page needs
is imported at its first request (else 0.7 s and 27 MB in each of the others).
"""

from __future__ import annotations

import html
import json
import subprocess
import sys
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PATIENCE_SECONDS = 60
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .4rem .6rem; text-align: left; vertical-align: top }
td:last-child, th:last-child { text-align: right }
code { background: #8882; padding: .1rem .3rem; border-radius: .2rem }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } }
"""


class Pages:
    """The application, made at its first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self._app is None:
            self._app = _application()
        await self._app(scope, receive, send)


def _application() -> Any:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(title="Carelake", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))
    app.get("/quarantine", response_class=HTMLResponse, dependencies=[may_read])(quarantine)
    return app


def quarantine(source: str = "") -> str:
    """The page; a function without `async`, so it may wait in a thread of its own."""
    # a process of its own: this server must never hold the warehouse, nor load DuckDB
    done = subprocess.run(
        [sys.executable, "-m", "carelake.cli", "quarantine", "list", "--format", "json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return page(source, [], lines[-1] if lines else "no answer")
    rows = json.loads(done.stdout)
    return page(source, [row for row in rows if source in ("", row["source"])], "")


def page(source: str, rows: list[dict[str, object]], trouble: str) -> str:
    """The page's HTML; texts of strangers are escaped."""
    name = html.escape(source)
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    table = (
        "<table><tr><th>source</th><th>stage</th><th>reason</th><th>records</th></tr>"
        f"{cells}</table>"
        if rows
        else f"<p>{html.escape(trouble) or 'Nothing is rejected or held.'}</p>"
    )
    everything = ' · <a href="quarantine">all sources</a>' if source else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Quarantine</title><style>{STYLE}</style></head>
<body><h1>Quarantine{f": {name}" if name else ""}</h1>
<p>Records that could not be taken, and batches that a gate holds{everything}.</p>
{table}
<p>File, line and text of each: <code>carelake quarantine show {name}</code>.
After a mend: <code>carelake quarantine replay</code>.
A held batch: <code>carelake batch release BATCH</code> or <code>discard</code>.</p>
</body></html>
"""


class QuarantinePagePlugin(AirflowPlugin):
    """Registers the page below /carelake."""

    name = "carelake_quarantine_page"
    fastapi_apps = [{"app": Pages(), "url_prefix": "/carelake", "name": "Carelake"}]  # noqa: RUF012
