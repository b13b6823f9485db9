"""Open the running pages in a real browser and keep pictures of them in docs/images.

Needs `make up` on a home with a published build, playwright and a Chromium of the system:

    python docs/screenshots.py [--browser /usr/bin/chromium]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from carelake.services import airflow
from carelake.services.airflow_api import AirflowApi
from carelake.services.pages import READER
from carelake.services.ports import HOST, kept_port
from carelake.services.secrets import USER, Secrets
from carelake.settings import Home

IMAGES = Path(__file__).parent / "images"
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SETTLE_MS = 2500


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """A browser that talks to nobody but the pages it is shown."""
    # Chromium refuses its sandbox to root
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=executable, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()


def new_page(chromium: Browser, user: str, password: str) -> Page:
    """A page of 1440 x 900 that answers when a server asks who is there."""
    login = {"username": user, "password": password}
    return chromium.new_page(viewport={"width": 1440, "height": 900}, http_credentials=login)


def keep(page: Page, name: str, url: str | None = None) -> None:
    """Go there if told to, let it draw, and keep a picture."""
    if url:
        page.goto(url)
    # pages that poll are never idle
    with suppress(TimeoutError):
        page.wait_for_load_state("networkidle", timeout=8000)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"{name}.png  {page.url}")


def show_airflow(page: Page, home: Home) -> None:
    """DAG list, the last full build with its note and graph, one task, assets."""
    url = airflow.address(home) or ""
    password = Secrets.of(home).airflow_password
    page.goto(url)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_timeout(SETTLE_MS)
    keep(page, "airflow-dags", f"{url}/dags")
    api = AirflowApi(url, USER, password)
    run = last_full_build(api)
    if run is None:
        print("no build yet: no pictures of one")
        return
    here = f"{url}/dags/build_marts/runs/{run}"
    keep(page, "airflow-build", here)
    page.click("button[aria-label='Edit note']")
    keep(page, "airflow-note")
    keep(page, "airflow-score", f"{here}/tasks/score")
    keep(page, "airflow-links", f"{here}/tasks/check_batches/details")
    page.goto(here)
    page.click("button[aria-label^='Show Graph']")
    keep(page, "airflow-build-graph")
    page.goto(f"{url}/dags/ingest_call_records")
    page.get_by_role("button", name="Trigger").first.click()
    keep(page, "airflow-trigger")
    asset = next(a for a in api.assets() if a["name"].startswith("landing_"))
    keep(page, "airflow-assets", f"{url}/assets/{asset['id']}")


def last_full_build(api: AirflowApi) -> str | None:
    """Run id of the newest build that published, not one that found nothing new."""
    builds = [run["dag_run_id"] for run in api.runs() if run["dag_id"] == "build_marts"]
    for run_id in reversed(builds):
        states = {t["task_id"]: t["state"] for t in api.tasks_of("build_marts", run_id)}
        if states.get("score") == "success":
            return str(run_id)
    return None


def show_mlflow(page: Page, url: str, password: str) -> None:
    """The runs of the satisfaction model beside the baseline's, and the registered models."""
    experiments = ask(url, "experiments/search", {"max_results": 100}, password)["experiments"]
    found = [e["experiment_id"] for e in experiments if e["name"] == "before_survey"]
    if not found:
        print("no training yet: no pictures of one")
        return
    runs = ask(url, "runs/search", {"experiment_ids": found}, password)["runs"]
    # candidates lie below the run that chose among them
    tops = [run["info"] for run in runs if not run["info"]["run_name"].startswith("candidate")]
    ids = json.dumps([run["run_id"] for run in tops[:4]])
    page.goto(f"{url}/#/experiments")
    page.wait_for_timeout(SETTLE_MS)
    close_assistant(page)
    page.goto("about:blank")
    page.goto(f"{url}/#/compare-runs?runs={ids}&experiments={json.dumps(found)}")
    page.wait_for_timeout(SETTLE_MS)
    page.get_by_text("Visualizations", exact=True).click()
    page.get_by_text("Metrics", exact=True).last.scroll_into_view_if_needed()
    keep(page, "mlflow-runs")
    page.goto("about:blank")
    page.goto(f"{url}/#/models")
    page.wait_for_timeout(SETTLE_MS)
    # the registry greets a new browser with a window of its own
    page.keyboard.press("Escape")
    keep(page, "mlflow-models")


def ask(url: str, path: str, body: dict[str, Any], password: str) -> dict[str, Any]:
    """One question to MLflow's REST API."""
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def close_assistant(page: Page) -> None:
    """MLflow opens a chat beside every page until it is closed once."""
    button = page.locator("button[aria-label*='lose']").last
    with suppress(TimeoutError):
        button.click(timeout=3000)
        page.wait_for_timeout(500)


def show_dbt_docs(page: Page, url: str) -> None:
    """What the care index is, and what it is made of."""
    model = f"{url}/#!/model/model.carelake.customer_satisfaction_index"
    keep(page, "dbt-docs-index", model)
    page.goto("about:blank")
    keep(page, "dbt-docs-lineage", f"{model}?g_v=1&g_i=2%2Bcustomer_satisfaction_index")


def main() -> None:
    """Take every picture whose server runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    home = Home.from_environment()
    IMAGES.mkdir(exist_ok=True)

    def url(name: str) -> str | None:
        port = kept_port(home, name)
        return f"http://{HOST}:{port}" if port else None

    keys = Secrets.of(home)
    with browser(arguments.browser) as chromium:
        show_airflow(chromium.new_page(viewport={"width": 1440, "height": 900}), home)
        if mlflow := url("mlflow"):
            page = new_page(chromium, USER, keys.mlflow_password)
            show_mlflow(page, mlflow, keys.mlflow_password)
        page = new_page(chromium, READER, keys.docs_password)
        if docs := url("dbt-docs"):
            show_dbt_docs(page, docs)
        if data_docs := url("data-docs"):
            keep(page, "data-docs", data_docs)


if __name__ == "__main__":
    main()
