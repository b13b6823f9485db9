"""What `replicas` in carelake.yml may say, and that no password is ever part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from carelake.errors import ConfigError
from carelake.setting_groups.replicas import Replica
from carelake.settings import Settings

GOOD = "kind: postgresql, host: db, user: writer, database: reports"


def load(folder: Path, *replicas: str) -> Settings:
    path = folder / "carelake.yml"
    path.write_text(f"replicas: [{', '.join('{' + each + '}' for each in replicas)}]")
    return Settings.load(path)


def test_a_replica_has_a_name_and_an_address_that_tell_no_secret(tmp_path: Path) -> None:
    found = load(
        tmp_path, GOOD, "kind: mysql, name: north, host: db2, user: w, schema: care"
    ).replicas
    assert [each.label for each in found] == ["postgresql", "north"]
    assert [each.address for each in found] == [
        "postgresql at db:5432/reports", "mysql at db2:3306",
    ]  # fmt: skip
    assert (found[1].schema_name, found[1].staging) == ("care", "care_staging")


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        ([GOOD + ", password: hush"], "replicas.0: a password is never written here"),
        ([GOOD + ", password_env: A, password_file: b"], "exclude each other"),
        (["kind: postgresql, host: db, user: w"], "database is missing"),
        (["kind: mysql, host: db, user: w, database: d"], "write schema instead"),
        ([GOOD, GOOD], "two replicas are called 'postgresql'"),
        ([GOOD + ", schema: Marts"], "replicas.0.schema: String should match"),
        ([GOOD + ", kinds: x"], "replicas.0.kinds: unknown key"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_key(tmp_path: Path, replicas: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, *replicas)
    assert said in str(refused.value) and "hush" not in str(refused.value)


def test_the_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = load(tmp_path, GOOD + ", password_env: SECRET").replicas[0]
    with pytest.raises(ConfigError, match=r"replica 'postgresql': .* SECRET is not set"):
        replica.password()
    monkeypatch.setenv("SECRET", " with blanks ")
    assert replica.password() == " with blanks "
    secret = tmp_path / "secret"
    replica = Replica.model_validate({**replica.model_dump(by_alias=True), "password_env": None,
                                      "password_file": secret})  # fmt: skip
    with pytest.raises(ConfigError, match="secret cannot be read"):
        replica.password()
    secret.write_text("密码 x\r\nsecond line\n", encoding="utf-8")
    assert replica.password() == "密码 x"
