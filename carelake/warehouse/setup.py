"""Make a home: folders, pepper, recorded tables."""

from __future__ import annotations

from pathlib import Path

from carelake.errors import ConfigError
from carelake.settings import Context, Home
from carelake.warehouse.configuration import record_configuration
from carelake.warehouse.connection import (
    connect,
    create_file,
    make_pepper,
    write_lock,
)
from carelake.warehouse.migrations import stamp
from carelake.warehouse.schema import create_recorded_tables


def initialise(ctx: Context) -> bool:
    """Set a home up; does nothing harmful to one that is.

    Returns:
        Whether it is new.
    """
    home = ctx.home
    if "?" in str(home.root):
        # what follows a question mark DuckDB takes for options, and puts its log elsewhere
        raise ConfigError(f"{home.root}: choose a CARELAKE_HOME without '?' in its path")
    is_new = not home.is_initialised()
    if is_new and home.warehouse.exists():
        raise ConfigError(
            f"{home.pepper_file}: is gone, but {home.warehouse.name} was made with it; put it back "
            "or set CARELAKE_PEPPER, for new keys would match nothing"
        )
    make_folders(home)
    make_pepper(home)
    with write_lock(home, "init"):
        if is_new:
            create_file(home.warehouse)
            home.warehouse.chmod(0o600)
        with connect(home) as con:
            con.execute("begin")
            create_recorded_tables(con)
            stamp(con)
            con.execute("commit")
            record_configuration(con, ctx)
    remember_sources(home, ctx.sources.path)
    return is_new


def make_folders(home: Home) -> None:
    """A home's folders, with who may look into them."""
    home.published.mkdir(parents=True, exist_ok=True)
    home.root.chmod(0o711)  # readers pass through to what is published, and see nothing else
    home.published.chmod(0o755)
    private = (
        home.landing, home.features.parent, home.mlflow_dir, home.airflow, home.gx, home.data_docs,
        home.dbt, home.state, home.scratch, home.logs,
    )  # fmt: skip
    for folder in private:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)


def remember_sources(home: Home, path: Path) -> None:
    """Keep the source list's place, so that later commands need not be told."""
    home.remembered_sources.write_text(f"{path}\n", encoding="utf-8")
