"""Build the models with dbt, in this process, and hand the features to the models as files."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import psutil

from carelake.errors import RunFailed
from carelake.progress import Progress
from carelake.settings import PROJECT, Context, Home
from carelake.warehouse import company
from carelake.warehouse.company import DbtProject
from carelake.warehouse.connection import connect, literal, read_pepper, write_lock
from carelake.warehouse.fingerprint import relation_fingerprint
from carelake.warehouse.recorded import SCHEDULING, TELLING, get_state, set_state
from carelake.warehouse.schema import DERIVED

LAYERS = {
    "features": ["path:models/staging", "path:models/intermediate", "path:models/features"],
    "marts": ["path:models/mart_parts", "path:models/marts"],
}
"""What dbt selects; the scores come in between."""
FEATURES = {
    "conversations": ("features_conversations", "conversation_key"),
    "customers": ("features_customers", "customer_key"),
    "sentiment": ("features_sentiment", "sentiment_key"),
}
"""File -> its table, and the key it is ordered by."""
KEPT_FEATURE_FOLDERS = 3
RECIPE = "derived_recipe"
COMPANY_RECIPE = "company_recipe"
MANIFEST_RECIPE = "manifest_recipe"
UNSEEN = {
    "build_threads", "build_memory", "kept_versions", "parquet_month_from", "settle_seconds",
    *TELLING,
}  # fmt: skip
"""Settings that no model can see."""


@dataclass(frozen=True)
class BuildResult:
    """What one dbt invocation did; seconds are dbt's own per node."""

    layer: str
    n_models: int
    n_tests: int
    n_warnings: int
    slowest: list[tuple[str, float]]


def build(
    ctx: Context, layer: str, progress: Progress | None = None, *, full_refresh: bool = False
) -> BuildResult:
    """Run `dbt build` for one layer: 'features' (and all below it) or 'marts'.

    Raises:
        RunFailed: a model or a blocking test failed; names it and says why.
    """
    # a test that needs models of both layers runs with the later one
    arguments = ["build", "--indirect-selection", "buildable", "--select", *LAYERS[layer]]
    with write_lock(ctx.home, f"build {layer}"):
        ours, theirs = _built_by(ctx.home)
        project = company.prepare(ctx, built_by=theirs)
        recipe = _recipe(ctx, project.root)
        if project.has_company and layer == "features":
            arguments += [f"package:{company.PACKAGE},resource_type:seed"]
        # unit tests prove the SQL, not the data: the test suite runs them
        arguments += ["--exclude-resource-type", "unit_test"]
        if layer == "features" or _keeps_manifest(ctx.home, recipe, project):
            # megabytes, seconds to write; the marts' invocation does, when there is something new in them
            arguments.append("--no-write-json")
        if full_refresh or ours != recipe:
            arguments.append("--full-refresh")
        elif layer == "features" and theirs == project.digest:
            # the same SQL over the same names: they are there already
            arguments += ["--exclude", "config.materialized:view"]
        results = _invoke(ctx, arguments, project, progress)
        _raise_on_failure(ctx, results)
        _note_build(ctx, layer, recipe, project)
    nodes = [(r.node.resource_type, r.node.name, r) for r in results]
    timed = sorted(((name, r.execution_time) for _, name, r in nodes), key=lambda t: -t[1])
    return BuildResult(
        layer,
        n_models=sum(kind == "model" for kind, _, _ in nodes),
        n_tests=sum(kind in ("test", "unit_test") for kind, _, _ in nodes),
        n_warnings=sum(r.status == "warn" for _, _, r in nodes),
        slowest=timed[:5],
    )


def _note_build(ctx: Context, layer: str, recipe: str, project: DbtProject) -> None:
    """Remember what was built by what, and forget what no model makes any more."""
    with connect(ctx.home) as con:
        if layer == "features":
            set_state(con, RECIPE, recipe)
        else:
            set_state(con, COMPANY_RECIPE, project.digest or "")
            company.drop_gone(con, _manifest(ctx.home), DERIVED)
            set_state(con, MANIFEST_RECIPE, f"{recipe} {project.digest}")


def _manifest(home: Home) -> Path:
    return home.dbt / "target" / "manifest.json"


def _keeps_manifest(home: Home, recipe: str, project: DbtProject) -> bool:
    """Whether the file that tells of all models was written from these very models.

    If not, it counts as unknown until a build with the new one is done.
    """
    with connect(home) as con:
        known = get_state(con, MANIFEST_RECIPE)
        keeps = known == f"{recipe} {project.digest}" and _manifest(home).exists()
        if not keeps:
            set_state(con, MANIFEST_RECIPE, "")
    return keeps


def _raise_on_failure(ctx: Context, results: list[Any]) -> None:
    failed = [(r.node, r.message) for r in results if r.status in ("error", "fail")]
    if failed:
        node, message = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        lines = [line.strip() for line in str(message).splitlines() if line.strip()]
        where = node.name
        if node.package_name == company.PACKAGE:
            file = company.custom_folder(ctx.config_dir) / node.original_file_path
            where = f"{file}: {node.name}"
        raise RunFailed(
            f"dbt: {where}: {' '.join(lines[:3])}{more}; log: {ctx.home.dbt / 'logs'}",
            public=f"dbt: {node.name} failed{more}",
        )


def _recipe(ctx: Context, project: Path) -> str:
    """Digest of all that decides what a model makes of the same raw rows.

    Models that remember compare their inputs only; under another recipe they begin anew. DuckDB is
    part of it because its `hash` may differ from version to version. A company's own models are
    not: none of ours is made from them.
    """
    said = (
        ctx.settings.model_dump_json(exclude=UNSEEN),
        ctx.sources.model_dump_json(exclude=SCHEDULING),
    )
    versions = (duckdb.__version__, version("phonenumbers"), version("dbt-duckdb"))
    digest = hashlib.sha256(repr((said, versions)).encode())
    for path in sorted(project.rglob("*")):
        if path.suffix in (".sql", ".yml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _built_by(home: Home) -> tuple[str | None, str | None]:
    """The recipes of the last build: of our models, and of the company's."""
    with connect(home) as con:
        return get_state(con, RECIPE), get_state(con, COMPANY_RECIPE) or None


def docs(ctx: Context) -> Path:
    """Write the dbt docs site; gives its folder (`index.html`)."""
    with write_lock(ctx.home, "dbt docs"):
        project = company.prepare(ctx, built_by=_built_by(ctx.home)[1])
        _invoke(ctx, ["docs", "generate", "--static"], project)
    target = ctx.home.dbt / "target"
    site = ctx.home.dbt / "site"
    site.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target / "static_index.html", site / "index.html")
    return site


def _counter(progress: Progress) -> Callable[[Any], None]:
    """Listens to dbt's events and reports how many models and tests are done."""
    done = 0

    def listen(event: Any) -> None:
        nonlocal done
        if event.info.name == "LogStartLine":
            progress.bar("dbt", done, event.data.total)
        elif event.info.name == "NodeFinished":
            done += 1

    return listen


def _invoke(
    ctx: Context, arguments: list[str], project: DbtProject, progress: Progress | None = None
) -> list[Any]:
    os.environ["CARELAKE_WAREHOUSE"] = str(ctx.home.warehouse)
    os.environ["CARELAKE_PEPPER"] = read_pepper(ctx.home)
    os.environ["CARELAKE_DBT_PACKAGES"] = str(project.packages)
    # with little memory one model at a time has all of it; DuckDB still works on several threads
    n_models = 1 if ctx.settings.build_memory else ctx.settings.build_threads
    os.environ["CARELAKE_THREADS"] = str(n_models)
    most = psutil.virtual_memory().total * 8 // 10_000_000
    os.environ["CARELAKE_MEMORY"] = ctx.settings.build_memory or f"{most}MB"
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    places = [
        "--project-dir",
        str(project.root),
        "--profiles-dir",
        str(PROJECT / "dbt_project"),
    ]
    # what goes wrong is raised, in one line; the log has the rest
    quiet = ["--quiet", "--no-use-colors", "--log-level", "none", "--log-level-file", "info"]
    places += ["--vars", json.dumps({"satisfied_from": ctx.settings.ml.satisfied_at})]
    listeners = [_counter(progress)] if progress else []
    loud, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        manifest: Any = None
        if project.has_company:
            parsed = dbtRunner().invoke([*quiet, "parse", "--no-write-json", *places])
            _raise_exception(ctx, parsed)
            manifest = parsed.result
            company.check_manifest(manifest, ctx)
        runner = dbtRunner(manifest=manifest, callbacks=listeners)
        outcome = runner.invoke([*quiet, *arguments, *places])
    finally:
        # when its log cannot be written, as on a full disk, logging prints a traceback per line
        logging.raiseExceptions = loud
        # dbt keeps its connection for the life of the process; the next step needs the file
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
        gc.collect()
    _raise_exception(ctx, outcome)
    return list(getattr(outcome.result, "results", []) or [])


def _raise_exception(ctx: Context, outcome: Any) -> None:
    if isinstance(outcome.exception, KeyboardInterrupt):
        # somebody ended it: no model is at fault, and readers need not be told
        raise outcome.exception
    if outcome.exception is not None:
        said = " ".join(str(outcome.exception).split())
        raise RunFailed(f"dbt: {company.as_named(said, ctx)}") from outcome.exception


def export_features(ctx: Context) -> Path:
    """Write the feature tables as Parquet, in a folder named after their content.

    Same features, same folder: nothing is written twice.
    """
    with (
        write_lock(ctx.home, "export features"),
        connect(ctx.home, **ctx.settings.duckdb) as con,
    ):
        digest = _digest(con)
        folder = ctx.home.features / digest
        if not folder.exists():
            _write_features(con, folder)
        con.execute("insert or replace into ops.state values ('features_digest', ?)", [digest])
    _forget_old(ctx.home, folder)
    return folder


def _digest(con: duckdb.DuckDBPyConnection) -> str:
    parts = []
    for table, _ in FEATURES.values():
        found = relation_fingerprint(con, f"features.{table}")
        parts.append(f"{found['rows']}:{found['sum']}")
    row = con.execute("select sha256(?)", ["|".join(parts)]).fetchone()
    return str(row[0])[:16] if row else ""


def _write_features(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, (table, key) in FEATURES.items():
        target = literal(str(draft / f"{name}.parquet"))
        con.execute(f"copy (from features.{table} order by {key}) to {target} (format parquet)")
    draft.rename(folder)


def _forget_old(home: Home, current: Path) -> None:
    """Keep the newest feature folders; a kept training run has its own copy of what it used."""
    for draft in home.features.glob("*.part"):  # left by a build that was killed
        shutil.rmtree(draft, ignore_errors=True)
    folders = sorted(
        (f for f in home.features.iterdir() if f.is_dir() and f != current),
        key=lambda f: f.stat().st_mtime,
        reverse=True,
    )
    for folder in folders[KEPT_FEATURE_FOLDERS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


def features_folder(ctx: Context) -> Path:
    """The feature files of the last build.

    Raises:
        RunFailed: there are none yet.
    """
    with write_lock(ctx.home, "find features"), connect(ctx.home) as con:
        row = con.execute("select value from ops.state where key = 'features_digest'").fetchone()
    folder = ctx.home.features / str(row[0]) if row else None
    if folder is None or not folder.exists():
        raise RunFailed("there are no features yet; run `carelake build` first")
    return folder
