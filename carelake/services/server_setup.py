"""What a server needs before its first start, and after every upgrade; may be repeated at will.

`docker-compose.yml` runs it as the service `setup`, before all others: the home, Airflow's tables,
its first person, and the pool of the one writer.
"""

from __future__ import annotations

import os
import subprocess
import sys

from carelake.errors import CarelakeError, ConfigError, RunFailed
from carelake.services.airflow import WRITER_POOL
from carelake.services.secrets import USER

PASSWORD = "AIRFLOW_PASSWORD"


def main() -> None:
    """Set everything up, one line per thing."""
    password = os.environ.get(PASSWORD)
    try:
        if not password:
            raise ConfigError(f"{PASSWORD} is not set; `make env` puts it into .env")
        _make_home()
        _migrate()
        with_person = _ensure_admin(password)
    except CarelakeError as error:
        print(f"setup: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    _ensure_pool()
    print(f"user {USER} {'made' if with_person else 'is there and keeps its password'}")
    print("setup is complete")


def _make_home() -> None:
    from carelake import pipeline
    from carelake.warehouse.setup import initialise

    ctx = pipeline.open_context()
    made = initialise(ctx)
    print(f"home {ctx.home.root} {'made' if made else 'is there'}, sources {ctx.sources.path}")


def _migrate() -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
    if done.returncode:
        raise RunFailed("Airflow could not set up its database; its own message stands above")


def _ensure_admin(password: str) -> bool:
    """Make the first person unless there; the password never stands on a command line.

    Returns:
        Whether it is new: a password that was changed since stays as it is.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        people = builder.sm
        if people.find_user(username=USER):
            return False
        role = people.find_role("Admin")
        if not people.add_user(USER, "Carelake", "Admin", f"{USER}@localhost", role, password):
            raise RunFailed(f"user {USER} could not be made; see the lines above")
    return True


def _ensure_pool() -> None:
    from airflow.models.pool import Pool

    Pool.create_or_update_pool(
        WRITER_POOL, 1, "One process writes the warehouse", include_deferred=False
    )


if __name__ == "__main__":
    main()
