"""Ports and secrets belong to a home and stay."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from carelake.errors import ConfigError
from carelake.services import airflow, up
from carelake.services.company import chosen_sources, sample_sources
from carelake.services.ports import HOST, free_port, is_free, kept_port
from carelake.services.secrets import Secrets
from carelake.settings import Home


def test_a_port_is_kept_until_somebody_else_takes_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    port = free_port(home, "api-server")
    assert free_port(home, "api-server") == kept_port(home, "api-server") == port
    assert free_port(home, "mlflow") != port
    with socket.socket() as thief:
        thief.bind((HOST, port))
        thief.listen()
        assert not is_free(port)
        assert free_port(home, "api-server") != port


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = Secrets.of(home)
    assert Secrets.of(home) == made
    assert (home.state / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert Secrets.of(Home(tmp_path / "other")).jwt_secret != made.jwt_secret
    assert len(made.airflow_password) >= 16


def test_all_of_airflow_lies_in_its_home_and_listens_on_loopback(tmp_path: Path) -> None:
    home = Home(tmp_path)
    variables = airflow.environment(home, tmp_path / "sources.yml", 4711)
    assert variables["AIRFLOW_HOME"] == str(home.airflow)
    assert variables["AIRFLOW__API__HOST"] == HOST
    assert str(tmp_path) in variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    # changing the port without this one leaves tasks knocking on 8080
    assert ":4711/" in variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert variables["AIRFLOW__API_AUTH__JWT_SECRET"] == Secrets.of(home).jwt_secret


def test_without_sources_of_its_own_a_home_gets_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARELAKE_SOURCES", raising=False)
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "home")
    assert chosen_sources(home) == sample_sources(home)
    mine = tmp_path / "sources.yml"
    mine.write_text("sources: []\n", encoding="utf-8")
    assert chosen_sources(home) == sample_sources(home)
    mine.write_text("sources: [{name: mail, kind: mbox, path: mail.mbox}]\n", encoding="utf-8")
    assert chosen_sources(home) == mine
    monkeypatch.setenv("CARELAKE_SOURCES", str(tmp_path / "mine.yml"))
    assert chosen_sources(home) == tmp_path / "mine.yml"


def test_down_without_up_is_no_fault(tmp_path: Path) -> None:
    assert up.down(Home(tmp_path)) == (0, 0)
    assert up.state(Home(tmp_path)) == []


def test_a_home_of_an_earlier_version_keeps_its_secrets_and_gets_the_new_ones(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    made = Secrets.of(home)
    file = home.state / "secrets.json"
    old = made.model_dump(include={"airflow_password", "jwt_secret", "fernet_key"})
    file.write_text(json.dumps(old), encoding="utf-8")
    now = Secrets.of(home)
    assert {name: getattr(now, name) for name in old} == old
    assert now.mlflow_password != made.mlflow_password and Secrets.of(home) == now
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_of_secrets_is_named_without_what_it_holds(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.state.mkdir()
    (home.state / "secrets.json").write_text('{"jwt_secret": "planted-word', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"secrets\.json: is damaged") as told:
        Secrets.of(home)
    assert "planted-word" not in str(told.value)


def test_passwords_are_told_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    told = up.new_passwords(home)
    assert [user for _, user, _ in told] == ["admin", "admin", "reader"]
    assert len({password for _, _, password in told}) == 3
    assert up.new_passwords(home) == []
