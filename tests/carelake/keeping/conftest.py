"""A home with rows, a published version and an MLflow store, made without dbt."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.publish import publish
from tests import small_marts

SOURCES = """
    sources:
      - {name: notes, kind: files, path: inbox/notes*.csv, format: csv, entity: communications, columns: {communication_id: id, body: text}}
"""


def extract_all(ctx: Context) -> None:
    for source in ctx.sources.sources:
        assert extract_source(source, ctx.config_dir, ctx.home.landing).outcome != "failed"


@pytest.fixture
def lake(tmp_path: Path, make_context: Callable[..., Context]) -> Context:
    """Two batches loaded, a version published, a run in MLflow's database, the pepper in a file."""
    ctx = make_context(SOURCES)
    (tmp_path / "inbox").mkdir()
    for number in (1, 2):
        lines = "".join(f"{number}{row:04d},hello number {row}\n" for row in range(500))
        (tmp_path / "inbox" / f"notes-{number}.csv").write_text("id,text\n" + lines)
        extract_all(ctx)
    load(ctx)
    small_marts.make(ctx)
    publish(ctx)
    artifact = ctx.home.mlflow_artifacts / "r1" / "artifacts" / "model.skops"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(bytes(range(256)) * 64)
    with sqlite3.connect(ctx.home.mlflow_dir / "mlflow.db") as con:
        for table, column in (
            ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
            ("experiments", "artifact_location"),
        ):  # fmt: skip
            con.execute(f"create table {table} ({column} text)")
            con.execute(f"insert into {table} values (?)", [artifact.parent.as_uri()])
        con.execute("create table model_versions (source text, storage_location text)")
        con.execute(
            "insert into model_versions values ('models:/m-1', ?)", [artifact.parent.as_uri()]
        )
    con.close()
    return ctx
