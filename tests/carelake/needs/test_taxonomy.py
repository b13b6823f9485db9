"""What customers come for: the company's list, its faults, and what a source's categories make of it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml

from carelake.errors import ConfigError
from carelake.needs.taxonomy import SHIPPED, Taxonomy, from_categories, load_taxonomy, rules_of
from carelake.settings import read_yaml
from carelake.warehouse.configuration import record_needs
from carelake.warehouse.dbt_plugin import NEED_PATTERN
from carelake.warehouse.schema import create_recorded_tables


def test_the_file_shipped_counts_until_there_is_one_of_the_companys(tmp_path: Path) -> None:
    shipped = load_taxonomy(tmp_path)
    assert len(shipped.needs) >= 8
    assert all(need.name_zh and need.keywords.en and need.keywords.zh for need in shipped.needs)
    (tmp_path / "needs.yml").write_text("needs: [{code: towing, name: Towing}]", encoding="utf-8")
    assert [need.code for need in load_taxonomy(tmp_path).needs] == ["towing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("needs: []", "needs: List should have at least 1 item"),
        ("needs: [{code: a, name: A}, {code: a, name: B}]", "needs: 'a' is there twice"),
        ("needs: [{code: unknown, name: A}]", "needs: 'unknown' is there twice, or kept for"),
        (
            "needs: [{code: a, name: A, categories: [Bill]}, {code: b, name: B, categories: [bill]}]",
            "needs: category 'bill' is of a and of b; keep one",
        ),
        ("needs: [{code: a, name: A, keyword: {}}]", "unknown key (did you mean keywords?)"),
    ],
)
def test_a_fault_is_told_in_one_line_that_names_the_file(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "needs.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as fault:
        load_taxonomy(tmp_path)
    assert "needs.yml" in str(fault.value) and said in str(fault.value)
    assert "\n" not in str(fault.value)


def test_categories_no_need_knows_become_needs_of_their_own(tmp_path: Path) -> None:
    known = Taxonomy.model_validate(read_yaml(SHIPPED))
    text = from_categories(["Refund Request", "Pet food", "pet FOOD", "宠物", "Pet-food"], known)
    (tmp_path / "needs.yml").write_text(text, encoding="utf-8")
    found = load_taxonomy(tmp_path).needs
    assert found[: len(known.needs)] == known.needs
    added = {need.code: need.categories for need in found[len(known.needs) :]}
    assert added == {"pet_food": ["Pet food"], "need": ["宠物"], "pet_food_2": ["Pet-food"]}
    assert yaml.safe_load(text)["needs"][0]["name_zh"] == "物流配送"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("when will you REFUND me", ["refund"]),
        ("it was prerefunded", []),
        ("c'est (very) \\b strange", []),
        ("我要退款，快递还没到", ["退款", "快递", "还没到"]),
    ],
)
def test_all_keywords_are_one_pattern(text: str, found: list[str]) -> None:
    with duckdb.connect() as con:
        create_recorded_tables(con)
        record_needs(con, Taxonomy.model_validate(read_yaml(SHIPPED)))
        con.execute(NEED_PATTERN)
        row = con.execute(
            "select regexp_extract_all(lower(?), getvariable('need_pattern'))", [text]
        ).fetchone()
        assert row == (found,)
        con.execute("delete from ops.need_rules")
        con.execute(NEED_PATTERN)
        row = con.execute(
            "select regexp_matches(?, getvariable('need_pattern'))", [text]
        ).fetchone()
        assert row == (False,)


def test_every_rule_reaches_the_warehouse_once() -> None:
    taxonomy = Taxonomy.model_validate(read_yaml(SHIPPED))
    with duckdb.connect() as con:
        create_recorded_tables(con)
        for _ in range(2):
            record_needs(con, taxonomy)
        rules = con.execute("select need, kind, word from ops.need_rules").fetchall()
    assert sorted(rules) == sorted((n.code, *rule) for n in taxonomy.needs for rule in rules_of(n))
