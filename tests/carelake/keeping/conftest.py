"""A home with rows, a published version and an MLflow store, made without dbt."""

from __future__ import annotations

import os
import shutil
import sqlite3
import textwrap
from pathlib import Path
from unittest.mock import patch

import pytest

from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.publish import publish
from carelake.warehouse.setup import initialise
from tests import small_marts
from tests.conftest import PEPPER

SOURCES = """
    sources:
      - {name: notes, kind: files, path: inbox/notes*.csv, format: csv, entity: communications, columns: {communication_id: id, body: text}}
"""


def extract_all(ctx: Context) -> None:
    for source in ctx.sources.sources:
        assert extract_source(source, ctx.config_dir, ctx.home.landing).outcome != "failed"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources and a home: two batches loaded, a version published."""
    root = tmp_path_factory.mktemp("lake")
    (root / "sources.yml").write_text(textwrap.dedent(SOURCES), encoding="utf-8")
    ctx = _context(root)
    with patch.dict(os.environ, {"CARELAKE_PEPPER": PEPPER}):
        initialise(ctx)
        (root / "inbox").mkdir()
        for number in (1, 2):
            lines = "".join(f"{number}{row:04d},hello number {row}\n" for row in range(500))
            (root / "inbox" / f"notes-{number}.csv").write_text("id,text\n" + lines)
            extract_all(ctx)
        load(ctx)
        small_marts.make(ctx)
        publish(ctx)
    artifact = ctx.home.mlflow_artifacts / "r1" / "artifacts" / "model.skops"
    artifact.parent.mkdir(parents=True)
    artifact.write_bytes(bytes(range(256)) * 64)
    return root


def _context(root: Path) -> Context:
    sources = SourceList.load(root / "sources.yml")
    return Context(Home(root / "home"), Settings(), sources, "test-run")


@pytest.fixture
def lake(template: Path, tmp_path: Path) -> Context:
    """The template's home in a place of its own, with addresses of files in MLflow's database."""
    shutil.copytree(template, tmp_path, symlinks=True, dirs_exist_ok=True)
    ctx = _context(tmp_path)
    address = (ctx.home.mlflow_artifacts / "r1" / "artifacts").as_uri()
    with sqlite3.connect(ctx.home.mlflow_dir / "mlflow.db") as con:
        for table, column in (
            ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
            ("experiments", "artifact_location"),
        ):  # fmt: skip
            con.execute(f"create table {table} ({column} text)")
            con.execute(f"insert into {table} values (?)", [address])
        con.execute("create table model_versions (source text, storage_location text)")
        con.execute("insert into model_versions values ('models:/m-1', ?)", [address])
    con.close()
    return ctx
