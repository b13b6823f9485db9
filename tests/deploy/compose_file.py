"""`docker-compose.yml` and `Dockerfile` as data."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml

from tests.conftest import PROJECT

COMPOSE = PROJECT / "docker-compose.yml"
DOCKERFILE = PROJECT / "Dockerfile"
VARIABLE = re.compile(r"\$\$|\$\{(\w+)([^}]*)\}|\$(\w+)")


def content() -> dict[str, Any]:
    """The file with its anchors and merges resolved, variables as they stand."""
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def services() -> dict[str, dict[str, Any]]:
    """Every service by name."""
    return dict(content()["services"])


def variables(value: Any) -> list[tuple[str, str]]:
    """Rows (name, what follows it in the braces) of every variable in a value, however deep."""
    if isinstance(value, dict):
        return [found for item in value.values() for found in variables(item)]
    if isinstance(value, list):
        return [found for item in value for found in variables(item)]
    if not isinstance(value, str):
        return []
    matches = [match for match in VARIABLE.finditer(value) if match[0] != "$$"]
    return [(match[1] or match[3], match[2] or "") for match in matches]


def filled(value: Any, given: dict[str, str]) -> Any:
    """A value with every variable replaced, as the engine would."""
    if isinstance(value, dict):
        return {key: filled(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, given) for item in value]
    if not isinstance(value, str):
        return value
    return VARIABLE.sub(lambda m: "$" if m[0] == "$$" else given[m[1] or m[3]], value)


def dotenv(text: str) -> dict[str, str]:
    """Names and values of a `.env`."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def instructions() -> list[tuple[str, list[str]]]:
    """Rows (instruction, its words) of the Dockerfile, in order."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word, shlex.split(rest)) for word, rest in found]


def image_environment() -> dict[str, str]:
    """What the image's ENV lines set."""
    words = [word for name, rest in instructions() if name == "ENV" for word in rest]
    return dict(word.split("=", 1) for word in words)
