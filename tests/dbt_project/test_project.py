"""Conventions of the dbt project, and promises about its builds."""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.dbt_project.conftest import PROJECT

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def models(dbt: Any) -> list[Manifest]:
    """Every model of the project, as dbt parsed it."""
    manifest = json.loads((dbt.target / "manifest.json").read_text(encoding="utf-8"))
    tested = {
        (test["attached_node"], test["test_metadata"]["name"])
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test" and test.get("test_metadata")
    }
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    for node in nodes:
        node["tests"] = {name for attached, name in tested if attached == node["unique_id"]}
    return nodes


def test_every_model_and_every_column_is_described(dbt: Any, models: list[Manifest]) -> None:
    columns = dbt.query("""
        select table_name, column_name from information_schema.columns
        where table_schema in ('staging', 'intermediate', 'features', 'marts')
    """)
    described = {
        (m["name"], c["name"]) for m in models for c in m["columns"].values() if c["description"]
    }
    assert [m["name"] for m in models if not m["description"]] == []
    assert sorted(set(columns) - described) == []


def test_every_mart_has_a_grain_a_contract_and_a_unique_key(models: list[Manifest]) -> None:
    marts = [m for m in models if m["schema"] == "marts"]
    assert len(marts) >= 16
    for mart in marts:
        assert mart["description"].startswith("Grain: one row per "), mart["name"]
        assert mart["contract"]["enforced"], mart["name"]
        assert mart["tests"] & {"unique", "unique_together"}, mart["name"]


def test_exposures_name_the_marts_that_their_files_read(dbt: Any, models: list[Manifest]) -> None:
    manifest = json.loads((dbt.target / "manifest.json").read_text(encoding="utf-8"))
    exposures = manifest["exposures"].values()
    assert len(exposures) >= 5
    for exposure in exposures:
        texts = [
            (PROJECT.parent / name).read_text(encoding="utf-8")
            for name in exposure["meta"]["reads"]
        ]
        read = {
            f"model.carelake.{mart}"
            for mart in re.findall(r"\b(?:from|join)\s+(?:marts\.)?(\w+)", "\n".join(texts))
        }
        marts = {m["unique_id"] for m in models if m["schema"] == "marts"}
        assert set(exposure["depends_on"]["nodes"]) == read & marts, exposure["name"]


def test_clock_times_in_marts_are_marked_volatile(models: list[Manifest]) -> None:
    volatile = {
        (m["name"], c["name"])
        for m in models
        for c in m["columns"].values()
        if m["schema"] == "marts" and c["config"].get("meta", {}).get("volatile")
    }
    clocks = {
        "loaded_at", "checked_at", "decided_at", "run_id", "model_version", "sentiment_model_version",
    }  # fmt: skip
    expected = {
        (m["name"], c)
        for m in models
        if m["schema"] == "marts"
        for c in m["columns"]
        if c in clocks
    }
    assert volatile == expected


def test_the_pepper_stays_out_of_what_dbt_writes(dbt: Any) -> None:
    pepper = dbt.environment["CARELAKE_PEPPER"].encode()
    files = [
        path for folder in (dbt.target, dbt.logs) for path in folder.rglob("*") if path.is_file()
    ]
    assert files
    assert [path for path in files if pepper in path.read_bytes()] == []


def test_the_order_of_loading_changes_no_mart(rebuilt_fingerprints: tuple[Any, Any]) -> None:
    first, second = rebuilt_fingerprints
    assert first == second
    assert first["marts.fct_communications"][0] > 0


@pytest.mark.slow
def test_unit_tests_pass(dbt: Any) -> None:
    assert len(dbt("test", "--select", "test_type:unit")) >= 15


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("138 0013 8000", "CN", "+8613800138000"),
        ("+86-138-0013-8000", None, "+8613800138000"),
        ("(030) 901820", "DE", "+4930901820"),
        ("8801", "CN", None),
        ("no number", "CN", None),
        (None, "CN", None),
    ],
)
def test_numbers_are_written_one_way(
    number: str | None, region: str | None, expected: str | None
) -> None:
    from carelake.warehouse.dbt_plugin import to_e164

    text = pa.string()
    assert to_e164(pa.array([number], text), pa.array([region], text)).to_pylist() == [expected]


def test_a_connection_without_pepper_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from carelake.warehouse.dbt_plugin import Plugin

    monkeypatch.setenv("CARELAKE_PEPPER", "")
    with duckdb.connect() as con, pytest.raises(RuntimeError, match="CARELAKE_PEPPER"):
        Plugin("carelake", {}).configure_cursor(con)
