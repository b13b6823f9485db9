"""An Airflow plugin: import what tasks need once, in the scheduler, before it forks its workers.

Every task is a fork of a worker, which is a fork of the scheduler, so each gets these modules for
nothing instead of importing them anew: about half a minute of a build. Left out is what starts
threads that a fork would lose: duckdb, and whatever imports it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import time
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

SWITCH = "CARELAKE_PRELOAD"
MODULES = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.decorators.python",
    "carelake.source_list",
    "pandas",
    "dbt.cli.main",
    "great_expectations",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.feature_extraction.text",
    "mlflow",
    "mlflow.sklearn",
    # builds its list of fonts, once per home
    "matplotlib.font_manager",
    "matplotlib.figure",
)

log = logging.getLogger(__name__)


class Preload:
    """Listens for the start of the scheduler."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Import before the executor forks; never stop a scheduler from starting."""
        # called before the job knows its type, so the command line tells; forked tasks, which are
        # told of their own start here too, inherit that line
        is_job = type(component).__name__ == "Job"
        if is_job and "scheduler" in sys.argv[1:2] and os.environ.get(SWITCH) == "1":
            preload()


def preload() -> None:
    """Import the modules; one that is missing is a matter for the task that needs it."""
    began = time.monotonic()
    # great_expectations logs every method it registers
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    log.info("Preloaded %d modules in %.1f s", len(MODULES), time.monotonic() - began)


class PreloadPlugin(AirflowPlugin):
    """Registers the listener."""

    name = "carelake_preload"
    listeners = [Preload()]  # noqa: RUF012
