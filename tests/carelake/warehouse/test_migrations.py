"""A home of 0.1.0, packed by tests/fixtures/pack_home.py, is brought up to this Carelake."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import duckdb
import pytest
import zstandard

from carelake.errors import ConfigError
from carelake.keeping.restore import relocate
from carelake.settings import Home
from carelake.warehouse import migrations
from carelake.warehouse.connection import connect
from carelake.warehouse.published import NOT_DATA, read_only
from carelake.warehouse.schema import create_recorded_tables
from tests.commands import carelake
from tests.conftest import clean_variables

PACKED = Path(__file__).resolve().parents[2] / "fixtures" / "home-0.1.0.tar.zst"
WAS = "/srv/carelake/var/mlflow/artifacts"


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("CARELAKE_PEPPER")  # it has its own
    with (
        PACKED.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as packed,
        tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
        tar.extractall(tmp_path, filter="data")
    home = Home(tmp_path / "home")
    relocate(home.mlflow_dir / "mlflow.db", WAS, home.mlflow_artifacts)
    return home


def shape(con: duckdb.DuckDBPyConnection) -> list[tuple[str, ...]]:
    """Every recorded table's columns; their order is nobody's business."""
    return con.execute(
        "select table_schema, table_name, column_name, data_type from information_schema.columns "
        "where table_schema in ('raw', 'ops', 'ml', 'care') order by all"
    ).fetchall()


def test_an_old_home_gets_the_tables_of_a_new_one_and_loses_no_row(old_home: Home) -> None:
    with duckdb.connect(str(old_home.warehouse)) as con:
        assert migrations.schema_version(con) == 0
        before = con.execute("select count(*), sum(n_raw) from ops.ledger").fetchone()
    with duckdb.connect() as new:
        create_recorded_tables(new)
        expected = shape(new)
    for _ in range(2):  # the second time nothing is left to do
        with connect(old_home) as con:
            assert migrations.schema_version(con) == migrations.CURRENT
            assert shape(con) == expected
            assert con.execute("select count(*), sum(n_raw) from ops.ledger").fetchone() == before
            assert con.execute("select count(*) from ops.new_batches").fetchone() == (0,)


def test_a_migration_that_is_killed_leaves_the_old_home(old_home: Home) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from carelake.settings import Home\n"
        "from carelake.warehouse import connection, migrations\n"
        "first = migrations.MIGRATIONS[0]\n"
        "def die(con):\n"
        "    first(con)\n"
        "    con.execute('select n_expired from ops.ledger')\n"
        "    os._exit(9)\n"
        "migrations.MIGRATIONS = (die,)\n"
        "with connection.connect(Home(Path(sys.argv[1]))):\n"
        "    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(old_home.root)], check=False, env={**os.environ}
    )
    assert done.returncode == 9
    with duckdb.connect(str(old_home.warehouse)) as con:
        assert migrations.schema_version(con) == 0
        assert "n_expired" not in {column for _, _, column, _ in shape(con)}
        assert con.execute("select count(*) from ops.new_batches").fetchone() == (0,)
    with connect(old_home) as con:
        assert migrations.schema_version(con) == migrations.CURRENT


def test_a_home_of_a_newer_carelake_is_refused_unchanged(old_home: Home) -> None:
    with duckdb.connect(str(old_home.warehouse)) as con:
        con.execute("insert into ops.state values ('schema_version', '99')")
    with pytest.raises(ConfigError, match="newer Carelake"), connect(old_home):
        pass
    with duckdb.connect(str(old_home.warehouse)) as con:
        assert "n_expired" not in {column for _, _, column, _ in shape(con)}


@pytest.mark.slow
def test_the_marts_of_an_old_home_come_out_as_they_were(old_home: Home) -> None:
    env = {
        **clean_variables(),
        "CARELAKE_HOME": str(old_home.root),
        "CARELAKE_SOURCES": str(old_home.root / "configuration" / "sources.yml"),
    }
    carelake("run", env=env, timeout=1800)
    with read_only(old_home) as con:
        for path in sorted((old_home.root / "marts").glob("*.parquet")):
            mart = path.stem
            if mart in NOT_DATA or mart == "model_decisions":
                continue
            uncounted = {
                row[0]
                for row in con.execute(
                    "select column_name from meta.uncounted_columns where table_name = ?", [mart]
                ).fetchall()
            }
            now = [row[0] for row in con.execute(f"describe {mart}").fetchall()]
            then = [row[0] for row in con.execute(f"describe from '{path}'").fetchall()]
            assert set(then) <= set(now), mart
            columns = ", ".join(f'"{name}"' for name in then if name not in uncounted)
            old, new = f"select {columns} from '{path}'", f"select {columns} from {mart}"
            for one, other in ((old, new), (new, old)):
                found = con.execute(f"({one}) except all ({other})").fetchall()
                assert found == [], f"{mart}: {found[:3]}"
