"""Every route of our servers, as their own applications list them, run as a program.

    python tests/deploy/routes.py airflow | mlflow

Prints rows [methods, path] as JSON. It is started with the environment the server itself has.
"""

from __future__ import annotations

import json
import sys
from typing import Any

ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def of_app(app: Any, prefix: str = "") -> list[tuple[list[str], str]]:
    """Routes of a Starlette or FastAPI application and of all that is mounted in it."""
    found: list[tuple[list[str], str]] = []
    for route in app.routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "app", None)
        if hasattr(route, "routes") and route.routes:
            found += of_app(inner if hasattr(inner, "routes") else route, path)
        elif flask := flask_of(inner):
            rules = list(flask.url_map.iter_rules())
            found += [(sorted(rule.methods or []), path + str(rule)) for rule in rules]
        else:
            found.append((sorted(getattr(route, "methods", None) or ALL), path))
    return found


def flask_of(app: Any) -> Any:
    """The Flask application inside a WSGI middleware, however deep."""
    for _ in range(5):
        if app is None or hasattr(app, "url_map"):
            return app
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    return None


def airflow() -> Any:
    from airflow.api_fastapi.app import create_app

    return create_app()


def mlflow() -> Any:
    from mlflow.server.auth import create_app

    return create_app()


if __name__ == "__main__":
    application = {"airflow": airflow, "mlflow": mlflow}[sys.argv[1]]()
    print("\n" + json.dumps(of_app(application)))
