from __future__ import annotations

import datetime as dt
import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from carelake import pipeline
from carelake.doctor import Finding, Level, Patient
from carelake.doctor.examination import CHECKS
from carelake.progress import Progress
from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.warehouse.publish import publish
from carelake.warehouse.setup import initialise, remember_sources
from tests import small_marts
from tests.conftest import PEPPER

SOURCES = """
    sources:
      - {name: shop, kind: files, path: shop/*.csv, format: csv, entity: customers,
         columns: {customer_id: id}, freshness: {warn: 26h, block: 3d}}
"""
Look = Callable[..., list[Finding]]


def context(root: Path) -> Context:
    return Context(Home(root / "home"), Settings(), SourceList.load(root / "sources.yml"), "test")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company with a sound home: one source, one batch, two marts that are published."""
    root = tmp_path_factory.mktemp("sound")
    (root / "shop").mkdir()
    (root / "shop" / "1.csv").write_text("id\n1\n2\n")
    (root / "sources.yml").write_text(textwrap.dedent(SOURCES))
    with patch.dict(os.environ, {"CARELAKE_PEPPER": PEPPER}):
        ctx = context(root)
        initialise(ctx)
        small_marts.make(ctx)
        for name in ("extract", "load"):
            pipeline.perform(ctx, name, Progress())
        publish(ctx)
    return root


@pytest.fixture
def lake(sound: Path, tmp_path: Path) -> Context:
    """A copy of the sound company, to be spoiled."""
    shutil.copytree(sound, tmp_path, symlinks=True, dirs_exist_ok=True)
    ctx = context(tmp_path)
    remember_sources(ctx.home, ctx.sources.path)
    return ctx


@pytest.fixture
def look(lake: Context) -> Look:
    """One check of the home: what it found that is not well."""

    def find(check: str, now: dt.datetime | None = None) -> list[Finding]:
        patient = Patient(lake.home, lake, now or dt.datetime.now(dt.UTC))
        found = list(dict(CHECKS)[check](patient))
        assert all(one.mend for one in found if one.level is not Level.ok)
        return [one for one in found if one.level is not Level.ok]

    return find
