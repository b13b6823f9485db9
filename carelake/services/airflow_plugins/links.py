"""An Airflow plugin: buttons on a task's page, to the pages that show what it did.

They are asked in the API server when somebody looks, so they cost a run nothing and are right while
the task still runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from carelake.services import task_pages
from carelake.settings import Home

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class DataDocsLink(BaseOperatorLink):
    """To the gates' pages."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Address, empty for a task that is no gate."""
        return task_pages.data_docs(Home.from_environment(), ti_key.task_id)


class DbtDocsLink(BaseOperatorLink):
    """To the models' descriptions."""

    name = "dbt docs"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Address, empty for a task that builds no models."""
        return task_pages.dbt_docs(Home.from_environment(), ti_key.task_id)


class MlflowLink(BaseOperatorLink):
    """To the run a task trained, or the model it scored with."""

    name = "MLflow"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Address, empty for a task without models."""
        if ti_key.task_id not in task_pages.MODELS:
            return ""
        return task_pages.mlflow(Home.from_environment(), ti_key.task_id, _result(ti_key))


class QuarantineLink(BaseOperatorLink):
    """To what was rejected or held."""

    name = "Quarantine"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Address, empty for a task that rejects nothing."""
        return task_pages.quarantine(ti_key.dag_id, ti_key.task_id)


def _result(ti_key: TaskInstanceKey) -> dict[str, Any]:
    """What the task returned; empty while it runs."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(
        XComModel.dag_id == ti_key.dag_id,
        XComModel.run_id == ti_key.run_id,
        XComModel.task_id == ti_key.task_id,
        XComModel.key == "return_value",
    )
    with create_session() as session:
        value = session.scalar(query)
    content = json.loads(value) if isinstance(value, str) else value
    return content if isinstance(content, dict) else {}


class LinksPlugin(AirflowPlugin):
    """Registers the buttons."""

    name = "carelake_links"
    global_operator_extra_links = [  # noqa: RUF012
        DataDocsLink(),
        DbtDocsLink(),
        MlflowLink(),
        QuarantineLink(),
    ]
