"""Run every suite of a layer in one process and say, row by row, what failed."""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import json
import logging
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.errors import ConfigError
from expectations.pages import finish_pages
from expectations.suites import ExpectationEntry, Severity, Suite, load_suites, named_columns

if TYPE_CHECKING:
    import pandas as pd

KEPT_RUNS = 5
"""Validation runs per suite that stay in the working directory and its pages."""
SHOWN_ROWS = 5
"""Failing rows a result describes; all of them are counted."""
SITE = "carelake"
_GX_SEVERITY = {"blocking": "critical", "warning": "warning"}


@dataclass(frozen=True)
class CheckResult:
    """One expectation's outcome, or, where rows are batches, its outcome for one failing batch.

    The fields are the columns of `ops.check_results`.

    Attributes:
        observed: what was found, in short.
        unexpected_count: failing rows of the suite's query (0 or 1 for table expectations).
        element_count: rows of the suite's query.
        batch_id: the batch a failing row speaks of; None where rows are no batches.
        details: what is wrong and why it matters, in words.
    """

    run_id: str
    checked_at: dt.datetime
    layer: str
    suite: str
    expectation: str
    column_name: str | None
    severity: Severity
    success: bool
    observed: str
    unexpected_count: int
    element_count: int
    batch_id: str | None
    details: str

    @property
    def is_blocking_failure(self) -> bool:
        """Whether it holds a batch or stops a publication."""
        return not self.success and self.severity == "blocking"


def check_layer(
    layer: str,
    fetch: Callable[[str], pd.DataFrame],
    gx_dir: Path,
    docs_dir: Path,
    custom_dir: Path | None = None,
    build_docs: bool = True,
    *,
    run_id: str | None = None,
    checked_at: dt.datetime | None = None,
) -> list[CheckResult]:
    """Check a layer; nothing is written but below `gx_dir` and `docs_dir`.

    Args:
        layer: `raw`, `staging`, `features` or `marts`.
        fetch: runs a query of ours and returns its rows.
        gx_dir: working directory of Great Expectations.
        docs_dir: where Data Docs go (`index.html`).
        custom_dir: folder with the company's own `suites/` and `queries/`.
        build_docs: whether to write the pages; false when another layer follows at once.
        run_id: kept on every result; made up without one.
        checked_at: kept on every result; the clock without one.

    Returns:
        One result per expectation that held; one per expectation that failed, or one per failing
        batch where the rows of the suite are batches. Ordered by suite, then as in its file.

    Raises:
        ConfigError: a suite, its query or the columns they name do not fit; nothing was checked.
    """
    suites = load_suites(layer, custom_dir)
    with _quiet(), _whole(gx_dir):
        _check_types(suites)
        frames = {suite.name: _frame(suite, fetch) for suite in suites}
        context = _context(gx_dir, docs_dir)
        run = (run_id or uuid.uuid4().hex, checked_at or dt.datetime.now(dt.UTC))
        results = [
            result
            for suite in suites
            for result in _run_suite(context, layer, suite, frames[suite.name], *run)
        ]
        _forget_dropped_suites(layer, {suite.name for suite in suites}, gx_dir, docs_dir)
        _forget_old_runs(gx_dir, docs_dir)
        if build_docs:
            context.build_data_docs(site_names=[SITE])
            finish_pages(gx_dir, docs_dir)
    return results


@contextlib.contextmanager
def _whole(gx_dir: Path) -> Any:
    """Mark the working directory while it is written; drop what a check that was cut left torn.

    All of it is written anew by each check, but for the pages' history.
    """
    mark = gx_dir / "unfinished"
    if mark.exists():
        torn = [path for path in gx_dir.rglob("*.json") if not _is_json(path)]
        for path in (*torn, *gx_dir.rglob("*.yml")):
            path.unlink()
    gx_dir.mkdir(parents=True, exist_ok=True)
    mark.touch()
    yield
    mark.unlink()


def _is_json(path: Path) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8")) is not None
    except ValueError:
        return False


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the library's log lines out of ours: every failure is in the results."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_types(suites: list[Suite]) -> None:
    """Refuse expectations the library would drop with no more than a log line."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = list_registered_expectation_implementations()
    for suite in suites:
        for position, entry in enumerate(suite.content.expectations):
            where = f"{suite.path}: expectations[{position}]"
            if entry.type not in known:
                near = difflib.get_close_matches(entry.type, known, n=1)
                mend = (
                    f"did you mean {near[0]}?" if near else "see the gallery of Great Expectations"
                )
                raise ConfigError(f"{where}.type: no expectation '{entry.type}'; {mend}")
            try:
                ExpectationConfiguration(**_configuration(entry)).to_domain_obj()
            except Exception as error:
                raise ConfigError(
                    f"{where}.kwargs: {_one_line(error)}; mend the arguments"
                ) from error


def _configuration(entry: ExpectationEntry) -> dict[str, Any]:
    return {
        "type": entry.type,
        "kwargs": dict(entry.kwargs),
        "severity": _GX_SEVERITY[entry.meta.severity],
        "meta": {
            **entry.meta.model_dump(),
            "notes": {"format": "string", "content": f"{entry.meta.severity}: {entry.meta.why}"},
        },
    }


def _frame(suite: Suite, fetch: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    try:
        frame = fetch(suite.query)
    except Exception as error:
        raise ConfigError(
            f"{suite.path}: its query failed ({_one_line(error)}); build the layer, or mend the query"
        ) from error
    for column in suite.columns():
        if column not in frame.columns:
            raise ConfigError(
                f"{suite.path}: column '{column}' is not in its query's result; "
                f"there are {', '.join(frame.columns)}"
            )
    return frame


def _context(gx_dir: Path, docs_dir: Path) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    gx_dir.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=gx_dir)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    context.variables.data_docs_sites = {
        SITE: {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs_dir.resolve()),
            },
        }
    }
    return context


def _run_suite(
    context: Any,
    layer: str,
    suite: Suite,
    frame: pd.DataFrame,
    run_id: str,
    checked_at: dt.datetime,
) -> list[CheckResult]:
    import great_expectations as gx

    entries = suite.content.expectations
    added = context.suites.add_or_update(
        gx.ExpectationSuite(
            name=suite.name,
            expectations=[_configuration(entry) for entry in entries],
            notes=f"Rows: {suite.content.meta.rows}",
        )
    )
    asset = context.data_sources.add_or_update_pandas("rows").add_dataframe_asset(suite.name)
    definition = gx.ValidationDefinition(
        name=suite.name, data=asset.add_batch_definition_whole_dataframe("all"), suite=added
    )
    validation = context.validation_definitions.add_or_update(definition).run(
        batch_parameters={"dataframe": frame},
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": suite.content.meta.index,
            "return_unexpected_index_query": False,
        },
    )
    # the library groups its results by column: our order is the file's
    by_id = {result.expectation_config.id: result for result in validation.results}
    ordered = [by_id[expectation.id] for expectation in added.expectations]
    return [
        result
        for entry, outcome in zip(entries, ordered, strict=True)
        for result in _describe(entry, outcome, layer, suite, len(frame), run_id, checked_at)
    ]


def _describe(
    entry: ExpectationEntry,
    outcome: Any,
    layer: str,
    suite: Suite,
    n_rows: int,
    run_id: str,
    checked_at: dt.datetime,
) -> list[CheckResult]:
    found: dict[str, Any] = outcome.result or {}
    rows: list[dict[str, Any]] = found.get("unexpected_index_list") or []
    columns = named_columns(entry.kwargs)
    failure = _exception_text(outcome.exception_info)

    def result(failing: list[dict[str, Any]], count: int, batch_id: str | None) -> CheckResult:
        return CheckResult(
            run_id=run_id,
            checked_at=checked_at,
            layer=layer,
            suite=suite.name,
            expectation=entry.type,
            column_name=", ".join(columns) or None,
            severity=entry.meta.severity,
            success=bool(outcome.success),
            observed=_observed(found, failing, columns, count, n_rows, failure),
            unexpected_count=count,
            element_count=n_rows,
            batch_id=batch_id,
            details=_details(entry, failing, columns, bool(outcome.success), failure),
        )

    if not outcome.success and rows and "batch_id" in suite.content.meta.index:
        return [result([row], 1, str(row["batch_id"])) for row in rows]
    counted = int(found.get("unexpected_count") or 0)
    return [result(rows, counted if outcome.success else max(counted, 1), None)]


def _observed(
    found: dict[str, Any],
    failing: list[dict[str, Any]],
    columns: list[str],
    count: int,
    n_rows: int,
    failure: str | None,
) -> str:
    if failure:
        return "could not be evaluated"
    if found.get("observed_value") is not None:
        return _plain(found["observed_value"])
    if len(failing) == 1:
        return ", ".join(f"{column} {_plain(failing[0].get(column))}" for column in columns)
    return f"{count} of {n_rows} rows"


def _details(
    entry: ExpectationEntry,
    failing: list[dict[str, Any]],
    columns: list[str],
    success: bool,
    failure: str | None,
) -> str:
    if failure:
        return f"could not be evaluated: {failure}"
    if success:
        return entry.meta.why
    wanted = {
        key: value
        for key, value in entry.kwargs.items()
        if key not in ("column", "column_A", "column_B", "column_list")
    }
    limits = ", ".join(f"{key} {_plain(value)}" for key, value in wanted.items())
    shown = "; ".join(
        ", ".join(f"{key} {_plain(value)}" for key, value in row.items())
        for row in failing[:SHOWN_ROWS]
    )
    more = f" and {len(failing) - SHOWN_ROWS} more" if len(failing) > SHOWN_ROWS else ""
    expected = f" (expected {limits})" if limits else ""
    subject = f"{shown}{more}" if shown else ", ".join(columns) or "the rows"
    return f"{subject}{expected}: {entry.meta.why}"


def _plain(value: Any) -> str:
    """A value as a person would write it: no trailing zeros, no quotes."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _exception_text(info: Any) -> str | None:
    """The message of an expectation that raised; the library nests it in two shapes."""
    if not isinstance(info, dict):
        return None
    shapes = [info] if "raised_exception" in info else list(info.values())
    for shape in shapes:
        if isinstance(shape, dict) and shape.get("raised_exception"):
            return _one_line(shape.get("exception_message") or "unknown reason")
    return None


def _one_line(error: object) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]


def _forget_dropped_suites(layer: str, names: set[str], gx_dir: Path, docs_dir: Path) -> None:
    """A suite whose file is gone must not show its last failure for ever."""
    stored = gx_dir / "gx"
    for path in (stored / "expectations").glob(f"{layer}__*.json"):
        if path.stem not in names:
            path.unlink()
            (stored / "validation_definitions" / path.name).unlink(missing_ok=True)
            (docs_dir / "expectations" / f"{path.stem}.html").unlink(missing_ok=True)
            for runs in (stored / "uncommitted" / "validations", docs_dir / "validations"):
                shutil.rmtree(runs / path.stem, ignore_errors=True)


def _forget_old_runs(gx_dir: Path, docs_dir: Path) -> None:
    """Keep the newest runs of each suite: pages are written anew for every run that is kept."""
    for stored in (gx_dir / "gx" / "uncommitted" / "validations", docs_dir / "validations"):
        for suite in (folder for folder in stored.glob("*") if folder.is_dir()):
            runs = sorted(suite.glob("*/*"), key=lambda run: run.name)
            for run in runs[:-KEPT_RUNS]:
                shutil.rmtree(run, ignore_errors=True)
