"""DuckDB's extensions as they came in packages: nothing is downloaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import duckdb

from carelake.errors import ConfigError


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load `postgres_scanner` or `mysql_scanner`, straight from the package's file.

    Raises:
        ConfigError: the package is missing, or made for another DuckDB.
    """
    package = f"duckdb-extension-{name.replace('_', '-')}"
    try:
        folder = Path(str(importlib.import_module(f"duckdb_extension_{name}").__file__)).parent
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the package {package} is missing; install the extra `replica`"
        ) from error
    path = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.exists():
        raise ConfigError(
            f"{package} is not of DuckDB {duckdb.__version__}; install the one that is"
        )
    con.execute(f"load '{path}'")
