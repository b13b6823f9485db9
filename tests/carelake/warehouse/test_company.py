"""What lies in `custom/` is built, checked and published beside ours, and leaves with its files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from carelake import pipeline
from carelake.errors import ConfigError, RunFailed
from carelake.progress import Progress
from carelake.settings import Context, prepare_environment
from carelake.warehouse import build, company
from carelake.warehouse.connection import connect, write_lock
from carelake.warehouse.published import published_fingerprint, read_only
from carelake.warehouse.recorded import get_state, has_news
from tests.conftest import PROJECT

EXAMPLE = PROJECT / "examples" / "custom"
SOURCES = """
    sources:
      - {name: desk, kind: files, path: inbox/*.csv, channel: email, format: csv, entity: conversations,
         columns: {conversation_id: id, email: mail, category: topic, opened_at: opened}}
"""
CASES = """id,mail,topic,opened
a1,ann@example.org,refund,2024-01-01 10:00
a2,bob@example.org,billing,2024-01-02 10:00
a3,cid@example.org,weather,2024-02-02 10:00
"""
BUILD = ("check_batches", "build_features", "build_marts", "check_marts", "publish")
QUICK = ("build_features", "build_marts", "publish")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def lake(make_context: Callable[..., Context], tmp_path: Path) -> Iterator[Context]:
    """A home of three cases, with the example beside its source list."""
    write(tmp_path / "inbox" / "cases.csv", CASES)
    shutil.copytree(EXAMPLE, tmp_path / "custom")
    ctx = make_context(SOURCES)
    with patch.dict(os.environ):
        prepare_environment(ctx.home)
        yield ctx


def perform(ctx: Context, *steps: str) -> None:
    for name in steps:
        pipeline.perform(ctx, name, Progress())


def read(ctx: Context, query: str) -> list[tuple]:
    with read_only(ctx.home) as con:
        return con.execute(query).fetchall()


REFUSED = {
    "models/marts/dim_agents.sql": "'dim_agents' is a model of ours; rename yours, or move it to "
    "custom/overrides/models/marts/dim_agents.sql",
    "seeds/stg_orders.csv": "'stg_orders' is a model of ours; rename yours, or move it to "
    "custom/overrides/models/staging/stg_orders.sql",
    "models/loose.sql": "lies in no layer; move it to one of models/staging, models/intermediate",
    "models/features/more.sql": "lies in no layer",
    "models/marts/Desk-Load.sql": "'Desk-Load' must be snake_case",
    "models/marts/model.py": "models are SQL here",
    "models/marts/desks.csv": "is a seed; move it to",
    "models/intermediate/agg_desk_load.sql": "bears the same name; rename one",
    "overrides/macros/maskk.sql": "overrides nothing, for there is no dbt_project/macros/maskk.sql",
    "overrides/dbt_project.yml": "overrides nothing",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_in_the_wrong_place_or_with_a_name_of_ours_is_refused_before_anything_runs(
    tmp_path: Path, name: str
) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "custom")
    company.check_names(tmp_path)
    path = write(tmp_path / "custom" / name, "select 1 as one")
    with pytest.raises(ConfigError) as refused:
        company.check_names(tmp_path)
    assert REFUSED[name] in str(refused.value)
    assert str(path) in str(refused.value) or "bears the same name" in str(refused.value)


def test_a_home_without_a_custom_folder_builds_our_project_as_it_lies(
    make_context: Callable[..., Context],
) -> None:
    ctx = make_context("sources: []")
    project = company.prepare(ctx)
    assert (project.root, project.has_company) == (PROJECT / "dbt_project", False)
    assert list(project.packages.iterdir()) == []


@pytest.mark.slow
def test_a_companys_mart_is_built_gated_and_published_with_ours_and_leaves_with_its_file(
    lake: Context, tmp_path: Path
) -> None:
    perform(lake, "extract", "load", *BUILD)
    rows = "select desk, month::varchar, n_conversations from agg_desk_load order by all"
    assert read(lake, rows) == [("General", "2024-02-01", 1), ("Money", "2024-01-01", 2)]
    assert (lake.home.published / "current" / "agg_desk_load.parquet").exists()
    assert published_fingerprint(lake.home)["agg_desk_load"]["rows"] == 2
    comments = "select comment from duckdb_columns() where table_name = 'agg_desk_load'"
    marts = str(lake.home.published / "marts.duckdb")
    with duckdb.connect(marts, read_only=True) as con:
        assert ("Conversations opened.",) in con.execute(comments).fetchall()
        suites = (
            "select distinct suite from marts.data_quality_results where suite = 'marts__desks'"
        )
        assert con.execute("select count(*) from main.agg_desk_load").fetchone() == (2,)
    assert "agg_desk_load" in (build.docs(lake) / "index.html").read_text(encoding="utf-8")

    # a gate of the company's that fails stops publishing
    custom = tmp_path / "custom"
    suite = custom / "expectations" / "suites" / "marts__desks.json"
    sound = suite.read_text()
    suite.write_text(sound.replace("100000", "1"))
    write(
        custom / "seeds" / "desks.csv", "topic,desk\nrefund,Money\nbilling,Money\nweather,Money\n"
    )
    with write_lock(lake.home, "test"), connect(lake.home) as con:
        assert has_news(con, lake)
        recipe = get_state(con, build.RECIPE)
    with pytest.raises(RunFailed, match="marts__desks: n_conversations"):
        perform(lake, "build_features", "build_marts", "check_marts")
    with pytest.raises(RunFailed, match="stopped by a gate"):
        perform(lake, "publish")
    assert read(lake, rows)[0] == ("General", "2024-02-01", 1)
    suite.write_text(sound)
    perform(lake, "check_marts", "publish")
    assert read(lake, rows) == [("Money", "2024-01-01", 2), ("Money", "2024-02-01", 1)]
    with write_lock(lake.home, "test"), connect(lake.home) as con:
        # the company's change rebuilt nothing of ours from the beginning
        assert get_state(con, build.RECIPE) == recipe
        assert suites

    # what is taken out is gone with the next version, ours stay as they were
    before = published_fingerprint(lake.home)
    shutil.rmtree(custom / "models" / "marts")
    shutil.rmtree(custom / "expectations")
    perform(lake, "build_features", "build_marts", "check_marts", "publish")
    after = published_fingerprint(lake.home)
    assert before.keys() - after.keys() == {"agg_desk_load"}
    assert {name: before[name] for name in after} == after

    # what tells of all models is written again when they changed, or when it is gone
    manifest = lake.home.dbt / "target" / "manifest.json"
    assert "agg_desk_load" not in manifest.read_text(encoding="utf-8")
    written = manifest.stat().st_mtime_ns
    perform(lake, "build_features", "build_marts")
    assert manifest.stat().st_mtime_ns == written
    manifest.unlink()
    perform(lake, "build_features", "build_marts", "publish")
    assert manifest.exists()


@pytest.mark.slow
def test_what_is_broken_in_custom_is_named_by_its_file_and_readers_keep_what_they_had(
    lake: Context, tmp_path: Path
) -> None:
    perform(lake, "extract", "load", "check_batches", *QUICK)
    published = published_fingerprint(lake.home)
    custom = tmp_path / "custom"
    mart = custom / "models" / "marts" / "agg_desk_load.sql"
    described = mart.with_suffix(".yml")
    broken = {
        "SQL": (mart, "select no_such_column from {{ ref('int_desk_conversations') }}", "build_marts",
                f"{mart}: agg_desk_load: "),
        "Jinja": (mart, "select {{ 1 +", "build_features", str(mart)),
        "a ref": (mart, "select * from {{ ref('int_desk_conversation') }}", "build_features", str(mart)),
        "a test": (custom / "tests" / "every_conversation_has_one_desk.sql",
                   "select * from {{ ref('int_desk_conversations') }}", "build_features",
                   "every_conversation_has_one_desk.sql: every_conversation_has_one_desk: Got 3 results"),
        "no contract": (described, "version: 2\n", "build_features",
                        f"{mart}: a mart needs a contract; write agg_desk_load.yml beside it"),
        "a column undescribed": (described, described.read_text().replace("description: Conversations opened.", "tags: []"),
                                 "build_features", "column 'n_conversations' of agg_desk_load has no description"),
        "the wrong type": (described, described.read_text().replace("data_type: date", "data_type: integer"),
                           "build_marts", f"{mart}: agg_desk_load: "),
        "a table of ours": (custom / "models" / "staging" / "stg_desks.sql",
                            "{{ config(schema='raw') }} select 1 as topic, 2 as desk", "build_features",
                            "schema 'raw' is not a company's to write"),
        "a macro of ours": (custom / "macros" / "mine.sql", "{% macro minutes_between(a, b) %}0{% endmacro %}",
                            "build_features", "macro 'minutes_between' is also ours, in macros/measure.sql; rename "
                            "yours, or move the file to custom/overrides/macros/measure.sql"),
        "a macro of dbt's": (custom / "macros" / "mine.sql", "{% macro persist_docs(a, b) %}{% endmacro %}",
                             "build_features", "macro 'persist_docs' is also dbt"),
    }  # fmt: skip
    for kind, (path, text, step, message) in broken.items():
        before = path.read_text() if path.exists() else None
        write(path, text)
        with pytest.raises((RunFailed, ConfigError)) as failed:
            perform(lake, "build_features", "build_marts")
            pytest.fail(f"{kind} went through")
        assert message in str(failed.value), kind
        assert published_fingerprint(lake.home) == published, kind
        with duckdb.connect(str(lake.home.ops), read_only=True) as con:
            last = con.execute(
                "select step, outcome from steps order by started_at desc"
            ).fetchone()
        assert last == (step, "failed"), kind
        path.unlink() if before is None else path.write_text(before)
    perform(lake, *QUICK)
    assert published_fingerprint(lake.home) == published


BY_THE_COPY = """
import sys
from pathlib import Path
from carelake import pipeline, settings
from carelake.progress import Progress
assert settings.PROJECT == Path(sys.argv[1]), settings.PROJECT
ctx = pipeline.open_context()
for name in ("build_features", "build_marts", "publish"):
    print(pipeline.perform(ctx, name, Progress()).summary)
"""


@pytest.mark.slow
def test_an_upgrade_of_the_checkout_leaves_custom_alone_and_tells_of_an_outgrown_override(
    lake: Context, tmp_path: Path
) -> None:
    custom = tmp_path / "custom"
    ours = PROJECT / "dbt_project" / "macros" / "clean.sql"
    override = write(
        custom / "overrides" / "macros" / "clean.sql", ours.read_text() + "{# ours now #}\n"
    )
    agents = (PROJECT / "dbt_project" / "models" / "marts" / "dim_agents.sql").read_text()
    write(custom / "overrides" / "models" / "marts" / "dim_agents.sql",
          agents.replace("min(team) as team", "upper(min(team)) as team"))  # fmt: skip
    perform(lake, "extract", "load", "check_batches", *QUICK)
    before = company.files_digest(custom, ("models", "macros", "tests", "seeds", "overrides"))
    made = (
        lake.home.dbt / "target" / "compiled" / "carelake" / "models" / "marts" / "dim_agents.sql"
    ).read_text()
    assert "upper(min(team))" in made
    assert list(company.outgrown_overrides(lake)) == []

    # the next release at another path, its staging SQL and the overridden macro changed
    release = tmp_path / "release"
    for part in ("carelake", "dbt_project", "expectations", "ml"):
        shutil.copytree(
            PROJECT / part, release / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    write(
        release / "dbt_project" / "macros" / "clean.sql",
        ours.read_text() + "{# the next release #}\n",
    )
    redirects = release / "dbt_project" / "models" / "marts" / "customer_redirects.yml"
    redirects.write_text(
        redirects.read_text().replace('description: "Grain', 'description: "Newer. Grain')
    )
    environment = {**os.environ, "PYTHONPATH": str(release), "CARELAKE_HOME": str(lake.home.root),
                   "CARELAKE_SOURCES": str(tmp_path / "sources.yml")}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", BY_THE_COPY, str(release)], env=environment, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (
        company.files_digest(custom, ("models", "macros", "tests", "seeds", "overrides")) == before
    )
    assert read(lake, "select count(*) from agg_desk_load") == [(2,)]
    notes = json.loads((lake.home.dbt / company.NOTES).read_text())
    assert notes.keys() == {"macros/clean.sql", "models/marts/dim_agents.sql"}
    # the release's own `doctor` compares with the release's file; here, put it back the other way
    code = "from carelake.warehouse import company; from carelake import pipeline; " \
        "print(*company.outgrown_overrides(pipeline.open_context()))"  # fmt: skip
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert told.stdout.split() == [str(override)]
