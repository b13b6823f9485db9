"""docker-compose.yml and Dockerfile: right by the specification, and nothing dangling or open."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from carelake.services import env_file
from tests.conftest import PROJECT
from tests.deploy import compose_file
from tests.deploy.compose_file import services

ENDS = "setup"
"""The one service that does its work and ends."""


def parse(text: str) -> Any:
    # what a variable stands for may be anything: a word will do
    plain = re.sub(r"\$\{\w+[^}]*\}", "x", text)
    # merges are resolved here, as the engine does it
    return PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(plain)))


def test_the_file_is_one_the_specification_allows() -> None:
    text = compose_file.COMPOSE.read_text(encoding="utf-8")
    assert sorted(parse(text).service_names()) == sorted(services())


@pytest.mark.parametrize(
    "wrong",
    [
        ("restart: unless-stopped", "restart: perhaps"),
        ("interval: 10s", "interval: often"),
        ("command: [airflow, dag-processor]", "comand: [airflow, dag-processor]"),
        ("condition: service_healthy", "condition: service_well"),
    ],
)
def test_a_mistake_in_the_file_would_be_found(wrong: tuple[str, str]) -> None:
    text = compose_file.COMPOSE.read_text(encoding="utf-8")
    assert wrong[0] in text
    with pytest.raises(ValueError):
        parse(text.replace(*wrong))


def test_every_variable_is_made_by_make_env_and_none_has_a_default(tmp_path: Path) -> None:
    env_file.ensure(tmp_path / ".env")
    made = compose_file.dotenv((tmp_path / ".env").read_text(encoding="utf-8"))
    used = compose_file.variables(compose_file.content())
    assert {name for name, _ in used} == set(made)
    # without a value the engine must stop: never an empty password
    assert {rest for _, rest in used} == {":?make env"}


def test_every_service_is_watched_restarts_and_waits_for_services_that_exist() -> None:
    for name, service in services().items():
        for other, wanted in service.get("depends_on", {}).items():
            assert other in services(), f"{name} waits for {other}"
            ends = wanted["condition"] == "service_completed_successfully"
            assert ends == (other == ENDS), f"{name} waits for {other}"
        assert (service["restart"] == "no") == (name == ENDS)
        if name != ENDS:
            check = service["healthcheck"]
            assert check["test"][0] == "CMD" and {"interval", "timeout", "retries"} <= set(check)


def test_every_port_is_published_on_loopback_only() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert len(published) == 3
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), port
    assert not any("network_mode" in service for service in services().values())


def test_nobody_is_root_or_may_become_it() -> None:
    last_stage = compose_file.instructions()
    begins = max(i for i, (word, _) in enumerate(last_stage) if word == "FROM")
    users = [rest[0] for word, rest in last_stage[begins:] if word == "USER"]
    assert users[-1:] == ["carelake"]
    for name, service in services().items():
        ours = "build" in service
        assert service.get("user") == (None if ours else "postgres"), name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged") and "cap_add" not in service
        assert not any("docker.sock" in volume for volume in service.get("volumes", []))


def test_volumes_are_declared_and_every_mounted_file_is_in_the_repository() -> None:
    declared = set(compose_file.content()["volumes"])
    used = set()
    for service in services().values():
        for line in service.get("volumes", []):
            outside = re.sub(r"\$\{(\w+)[^}]*\}", r"@\1", line).split(":")[0]
            if outside.startswith("./"):
                assert (PROJECT / outside).is_file(), outside
            elif not outside.startswith("@"):
                used.add(outside)
    assert used == declared


def test_every_path_the_dockerfile_copies_is_there_and_everything_a_service_runs_is_copied() -> (
    None
):
    copied = set()
    for word, rest in compose_file.instructions():
        if word == "COPY" and not rest[0].startswith("--from"):
            for path in rest[:-1]:
                assert (PROJECT / path).exists(), path
                copied.add(path)
    # every package of ours that is imported anywhere in the image
    for package in ("carelake", "ml", "expectations", "dags"):
        for file in (PROJECT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    top = name.partition(".")[0]
                    if (PROJECT / top / "__init__.py").exists():
                        assert top in copied, f"{file} imports {name}"
    for name, service in services().items():
        for value in service.get("environment", {}).values():
            inside = str(value).removeprefix("/opt/carelake/")
            if inside != str(value):
                assert inside.split("/")[0] in copied and (PROJECT / inside).exists(), name
        words = service["command"]
        if words[:2] == ["python", "-m"]:
            assert (PROJECT / f"{words[2].replace('.', '/')}.py").is_file(), words


def test_all_that_is_installed_is_pinned_and_checked() -> None:
    installs = [
        " ".join(rest)
        for word, rest in compose_file.instructions()
        if word == "RUN" and "pip install" in " ".join(rest)
    ]
    assert len(installs) == 2
    assert re.search(r"uv==\d+\.\d+\.\d+$", installs[0])
    for word in (
        "--require-hashes",
        "--constraints requirements.lock",
        "--extra server",
        "--extra replica",
    ):
        assert word in installs[1]
    images = [s["image"] for s in services().values()]
    bases = [rest[0] for word, rest in compose_file.instructions() if word == "ARG"]
    for image in [*images, *(base.partition("=")[2] for base in bases)]:
        assert re.search(r":\d+[\w.-]*$", image), f"{image} floats"


def test_one_secret_signs_for_all_of_airflow_and_no_service_knows_what_it_does_not_need() -> None:
    airflow = {n: s for n, s in services().items() if "AIRFLOW_HOME" in s.get("environment", {})}
    assert set(airflow) == {"setup", "api-server", "scheduler", "dag-processor", "triggerer"}
    for key in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY"):
        assert len({service["environment"][key] for service in airflow.values()}) == 1
    knows = {
        name: {variable for variable, _ in compose_file.variables(service)}
        for name, service in services().items()
    }
    assert [name for name in knows if "AIRFLOW_PASSWORD" in knows[name]] == ["setup"]
    assert [name for name in knows if "POSTGRES_PASSWORD" in knows[name]] == ["postgres"]
    assert [name for name in knows if "DOCS_PASSWORD" in knows[name]] == ["docs"]
    assert knows["mlflow"] & {"CARELAKE_PEPPER", "FERNET_KEY", "JWT_SECRET"} == set()
    assert knows["docs"] & {"FERNET_KEY", "JWT_SECRET", "AIRFLOW_DB_PASSWORD"} == set()
