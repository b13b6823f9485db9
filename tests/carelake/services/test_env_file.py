"""`make env` makes every secret once, and never another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from carelake.services import env_file
from tests.conftest import PROJECT
from tests.deploy.compose_file import dotenv


def test_what_is_made_is_private_strong_and_different_each_time(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = env_file.ensure(tmp_path / ".env")
    finally:
        os.umask(before)
    assert made == list(env_file.VARIABLES)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    values = dotenv((tmp_path / ".env").read_text(encoding="utf-8"))
    secrets = [
        values[name] for name in made if name.endswith(("PASSWORD", "SECRET", "KEY", "PEPPER"))
    ]
    assert len(secrets) == 11 == len(set(secrets)) and min(map(len, secrets)) >= 24
    Fernet(values["FERNET_KEY"])
    env_file.ensure(tmp_path / "other")
    other = dotenv((tmp_path / "other").read_text(encoding="utf-8"))
    assert not set(secrets) & set(other.values())


def test_what_is_there_stays_byte_for_byte_and_what_lacks_is_added(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# ours\nAIRFLOW_PASSWORD='kept by us'\nHTTP_PORT=1\nJWT_SECRET=jjj", encoding="utf-8"
    )
    path.chmod(0o644)
    made = env_file.ensure(path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ours\nAIRFLOW_PASSWORD='kept by us'\nHTTP_PORT=1\nJWT_SECRET=jjj\n")
    assert set(env_file.VARIABLES) - set(made) == {"AIRFLOW_PASSWORD", "JWT_SECRET"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert env_file.ensure(path) == [] and path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("JWT_SECRET=\n", "line 1: JWT_SECRET is empty"),
        ("# x\nJWT_SECRET=a\nJWT_SECRET=b\n", "line 3 names JWT_SECRET again"),
        ("JWT_SECRET: a\n", "line 1 is no NAME=value"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        env_file.ensure(path)
    assert path.read_text(encoding="utf-8") == text


def test_it_runs_with_nothing_installed_and_prints_no_secret(tmp_path: Path) -> None:
    package = tmp_path / "carelake" / "services"
    package.mkdir(parents=True)
    for name in ("carelake/__init__.py", "carelake/services/__init__.py",
                 "carelake/services/env_file.py", "sources.yml", "carelake.yml"):  # fmt: skip
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    call = [sys.executable, "-I", "-S", "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
            "from carelake.services.env_file import main; main()"]  # fmt: skip
    first = subprocess.run(call, capture_output=True, text=True, check=True)
    values = dotenv((tmp_path / ".env").read_text(encoding="utf-8"))
    assert (tmp_path / "company" / "sources.yml").exists()
    assert "made FERNET_KEY" in first.stdout
    assert not any(len(v) > 23 and v in first.stdout for v in values.values())
    again = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "0 of 14 values are new" in again.stdout and "made " not in again.stdout
