"""Where the pages beside Airflow are, when they are not on ports of this home."""

from __future__ import annotations

from pydantic import Field

from carelake.setting_groups.base import Strict


class Links(Strict):
    """Addresses behind the buttons of a task; without one, the port this home keeps for the page."""

    mlflow: str | None = Field(default=None, description="MLflow, as in https://mlflow.example.com")
    dbt_docs: str | None = Field(default=None, description="The dbt docs")
    data_docs: str | None = Field(default=None, description="The gates' pages")
