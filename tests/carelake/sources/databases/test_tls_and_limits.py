"""Kinds `postgres` and `mysql`: certificates that are checked, and servers that have no room just now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from carelake.sources.database import extract as extract_database
from tests import database_servers
from tests.carelake.sources.databases.tickets import Database, a_source, extract, ids, landed
from tests.database_servers import PASSWORD

pytestmark = pytest.mark.slow
CIPHER = {
    "postgres": "select 1 as id, cipher as body, now() as at from pg_stat_ssl where pid = pg_backend_pid()",
    "mysql": "select 1 as id, variable_value as body, now() as at from information_schema.session_status "
    "where variable_name = 'ssl_cipher'",
}
"""What a session is encrypted with, as a ticket."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def vault(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Database]:
    """A server that speaks TLS, with a certificate of an authority that nobody knows of itself."""
    with getattr(database_servers, request.param)(authority) as running:
        yield Database(running, "postgres" if running.kind == "postgresql" else "mysql")


def test_with_its_authority_named_a_server_is_read_over_tls(
    vault: Database, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    extra = {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "ca.pem")}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", vault.connection(extra=extra))
    result = extract(a_source(vault.kind, database={"query": CIPHER[vault.kind]}), tmp_path / "l")
    assert result.outcome == "extracted", result.message
    ((ticket,),) = landed(tmp_path / "l", "body")
    assert ticket[0].startswith("TLS_")


def test_a_server_whose_certificate_is_of_another_authority_is_refused_at_once(
    vault: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    extra = {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "other.pem")}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", vault.connection(extra=extra))
    waits: list[float] = []
    source = a_source(vault.kind, database={"query": CIPHER[vault.kind]})
    result = extract_database(source, tmp_path, tmp_path / "l", sleep=waits.append)
    assert result.outcome == "failed" and not waits
    assert "certificate" in result.message and "connection 'shop'" in result.message
    assert PASSWORD not in result.message


def test_a_file_of_the_authority_that_is_not_there_is_named_at_once(
    vault: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "none.pem")}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", vault.connection(extra=extra))
    waits: list[float] = []
    result = extract_database(a_source(vault.kind), tmp_path, tmp_path / "l", sleep=waits.append)
    assert "none.pem" in result.message and not waits


def test_a_server_without_room_for_one_more_session_is_waited_for(
    shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sessions a login may have are taken when the extract begins, and free when it has waited."""
    shop.fill(1, 30)
    if shop.is_postgres:
        shop.do("drop role if exists narrow", "create role narrow login connection limit 3 password 'plain'",
                "grant select on tickets to narrow")  # fmt: skip
    else:
        shop.do("create or replace user narrow@'127.0.0.1' identified by 'plain' with max_user_connections 3",
                "grant select on shop.* to narrow@'127.0.0.1'")  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop.connection(login="narrow", password="plain"))
    taken = [shop.session("narrow", "plain") for _ in range(3)]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        while taken:
            taken.pop().close()
        time.sleep(0.3)

    result = extract_database(a_source(shop.kind), tmp_path, tmp_path, sleep=wait)
    assert result.outcome == "extracted", result.message
    assert ids(tmp_path) == [list(range(1, 31))] and waits
    if shop.is_postgres:
        shop.do("drop owned by narrow", "drop role narrow")
