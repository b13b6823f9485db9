"""Read suites and their queries, and refuse a wrong one before anything is looked at.

Cheap to import: nothing of Great Expectations is needed to read a suite.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carelake.errors import ConfigError

LAYERS = ("raw", "staging", "features", "marts")
SHIPPED = Path(__file__).resolve().parent

Severity = Literal["blocking", "warning"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectationMeta(_Part):
    """What we add to an expectation: how hard it is, and the reason it exists."""

    severity: Severity
    why: str = Field(min_length=1)


class ExpectationEntry(_Part):
    """One expectation of a suite file, as Great Expectations writes it."""

    type: str
    kwargs: dict[str, Any]
    meta: ExpectationMeta


class SuiteMeta(_Part):
    """What a suite looks at.

    Attributes:
        rows: the grain of its query, in words.
        index: columns that name a row of it; a failing row is reported by them.
    """

    rows: str = Field(min_length=1)
    index: list[str] = Field(min_length=1)


class SuiteFile(_Part):
    """A suite under version control: a JSON file Great Expectations itself could read."""

    name: str
    meta: SuiteMeta
    expectations: list[ExpectationEntry] = Field(min_length=1)


@dataclass(frozen=True)
class Suite:
    """A suite file and the query that feeds it."""

    path: Path
    content: SuiteFile
    query: str

    @property
    def name(self) -> str:
        """Its name, which is its file's name."""
        return self.content.name

    def columns(self) -> list[str]:
        """Every column its expectations and its index name, in order, once."""
        found = list(self.content.meta.index)
        for entry in self.content.expectations:
            found += named_columns(entry.kwargs)
        return list(dict.fromkeys(found))


def named_columns(kwargs: dict[str, Any]) -> list[str]:
    """The columns an expectation's arguments name."""
    single = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return [str(name) for name in [*single, *kwargs.get("column_list", [])]]


def load_suites(layer: str, custom_dir: Path | None = None) -> list[Suite]:
    """All suites of a layer by name, ours and the company's.

    A company's suite that bears the name of one of ours takes its place; without a query of its
    own it keeps ours.

    Args:
        layer: one of `LAYERS`.
        custom_dir: a folder with `suites/` and `queries/` of the company's own; may be missing.

    Raises:
        ConfigError: naming file, place and mend.
    """
    if layer not in LAYERS:
        raise ConfigError(f"check: no layer '{layer}'; use one of {', '.join(LAYERS)}")
    folders = [folder for folder in (custom_dir, SHIPPED) if folder is not None]
    suites: dict[str, Suite] = {}
    for folder in folders:
        for path in sorted((folder / "suites").glob(f"{layer}__*.json")):
            if path.stem not in suites:
                suites[path.stem] = _read_suite(path, folders)
    return [suites[name] for name in sorted(suites)]


def _read_suite(path: Path, folders: list[Path]) -> Suite:
    try:
        content = SuiteFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: line {error.lineno} is not valid JSON ({error.msg}); mend the line"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); check encoding and rights") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_fault(error)}") from error
    if content.name != path.stem:
        raise ConfigError(f"{path}: name: is '{content.name}'; make it the file's, '{path.stem}'")
    for folder in folders:
        query = folder / "queries" / f"{path.stem}.sql"
        if query.is_file():
            return Suite(path, content, query.read_text(encoding="utf-8"))
    expected = folders[0] / "queries" / f"{path.stem}.sql"
    raise ConfigError(f"{path}: has no query; write {expected}")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    key = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]
    ).lstrip(".")
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{key}: is missing; add it"
    return f"{key or '(file)'}: {fault['msg']} (found {str(fault['input'])[:60]!r})"
