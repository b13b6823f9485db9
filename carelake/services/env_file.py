"""`make env`: the secrets of a server, in a `.env` that only its owner can read.

Imports the standard library only, so that a machine with nothing but Python and a container engine
can run it: `python3 -m carelake.services.env_file`.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

Make = Callable[[], str]
PROJECT = Path(__file__).resolve().parents[2]
COMPANY_FILES = ("sources.yml", "carelake.yml")
LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


def _word() -> str:
    # letters, digits, - and _ only: it stands in a URL and in a .env as it is
    return secrets.token_urlsafe(32)


def _password() -> str:
    return secrets.token_urlsafe(18)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _always(value: str) -> Make:
    return lambda: value


VARIABLES: dict[str, tuple[str, Make]] = {
    "AIRFLOW_PASSWORD": ("Airflow: the first person, user admin", _password),
    "MLFLOW_PASSWORD": ("MLflow: user admin, also what training logs in with", _password),
    "DOCS_PASSWORD": ("dbt docs and Data Docs: user reader", _password),
    "POSTGRES_PASSWORD": ("PostgreSQL: its superuser, for the first start and repairs", _word),
    "AIRFLOW_DB_PASSWORD": ("PostgreSQL: Airflow's own user", _word),
    "MLFLOW_DB_PASSWORD": ("PostgreSQL: MLflow's own user", _word),
    "JWT_SECRET": ("what Airflow's processes sign tokens with: one for all of them", _word),
    "API_SECRET_KEY": ("what Airflow signs browser sessions with", _word),
    "FERNET_KEY": ("what Airflow encrypts connections with; keep a copy", _fernet_key),
    "MLFLOW_SECRET_KEY": ("what MLflow signs browser sessions with", _word),
    "CARELAKE_PEPPER": (
        "the secret behind every customer key; keep a copy: with another one every customer is new",
        _word,
    ),
    "COMPANY_FOLDER": (
        "folder of sources.yml, carelake.yml and the files they name",
        _always("./company"),
    ),
    "AIRFLOW_URL": ("what people type to reach Airflow", _always("http://localhost:8080")),
    "MLFLOW_HOSTS": ("names people reach MLflow by", _always("localhost:5000,127.0.0.1:5000")),
}
"""Name to what it is for, and how a value is made."""

HEADER = "# Secrets of this server, made by `make env`. Keep a copy; never commit this file.\n"


def ensure(path: Path) -> list[str]:
    """Add what a `.env` lacks; what it holds stays, byte for byte.

    Returns:
        The names that were added, in the order of the file.

    Raises:
        ValueError: a line is no `NAME=value`, a name stands twice, or a value is empty.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else HEADER
    known = _names(path, text)
    missing = [name for name in VARIABLES if name not in known]
    added = "".join(
        f"\n# {VARIABLES[name][0]}\n{name}={VARIABLES[name][1]()}\n" for name in missing
    )
    if missing:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
            file.write(added)
        draft.replace(path)
    path.chmod(0o600)
    return missing


def ensure_company(folder: Path) -> list[str]:
    """Put an empty source list and settings where the containers look for them, unless there."""
    folder.mkdir(parents=True, exist_ok=True)
    added = [name for name in COMPANY_FILES if not (folder / name).exists()]
    for name in added:
        shutil.copyfile(PROJECT / name, folder / name)
    return added


def _names(path: Path, text: str) -> set[str]:
    found: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.match(line)
        if match is None:
            raise ValueError(f"{path}: line {number} is no NAME=value; mend or remove it")
        name, value = match.groups()
        if name in found:
            raise ValueError(f"{path}: line {number} names {name} again; keep one of the two")
        if not value.strip().strip("'\""):
            raise ValueError(
                f"{path}: line {number}: {name} is empty; give it a value, or remove the line "
                "and run `make env` again"
            )
        found.add(name)
    return found


def main() -> None:
    """Make `.env` beside docker-compose.yml and say what was made, but no secret."""
    path = PROJECT / ".env"
    try:
        made = ensure(path)
        files = [] if (PROJECT / "company").exists() else ensure_company(PROJECT / "company")
    except (OSError, ValueError) as error:
        sys.exit(f"make env: {error}")
    for name in made:
        print(f"made {name:<20} {VARIABLES[name][0]}")
    for name in files:
        print(f"made company/{name}: say there what is read")
    print(f"{path} is complete (mode 0600), {len(made)} of {len(VARIABLES)} values are new")


if __name__ == "__main__":
    main()
