"""Run the command line as a user would: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote


def carelake(
    *arguments: str, env: Mapping[str, str], exit_code: int = 0, timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run `carelake ARGUMENTS` and insist on its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "carelake.cli", *arguments],
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == exit_code, (
        f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done


def rows(query: str, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of a query on the published marts, through `carelake sql`."""
    found: list[dict[str, Any]] = json.loads(
        carelake("sql", query, "--format", "json", env=env).stdout
    )
    return found


def holding(folder: Path, secret: str) -> list[Path]:
    """Files below a folder that hold a secret, as it is or as JSON, an address or SQL would write it."""
    forms = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), secret.replace("'", "''")}
    wanted = {form.encode() for form in forms}
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in wanted)
    ]
