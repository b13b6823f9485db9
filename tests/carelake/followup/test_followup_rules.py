"""A wrong `followup.yml` is refused in one line, before any table is looked at."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.followup import load_rules
from carelake.followup.template import template_sql

RULE = """
rules:
  - code: slow
    when: {when}
    reason: "{reason}"
    {more}
"""


def write(
    folder: Path, when: str = "p_satisfied < 0.5", reason: str = "why", more: str = ""
) -> None:
    text = RULE.format(when=when, reason=reason, more=more)
    (folder / "followup.yml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"when": "p_satisfid < 0.5"}, r"rule 'slow': when: no column 'p_satisfid'; use one of"),
        ({"when": "cs < 0.2"}, r"rule 'slow': when: 'cs' cannot decide .* use satisfaction"),
        ({"when": "p_satisfied <"}, r"rule 'slow': when: .*; mend the SQL"),
        ({"when": "sum(n_orders) > 3"}, r"rule 'slow': when: .*; mend the SQL"),
        ({"when": "true); drop table x; select (true"}, r"rule 'slow': when: .*one condition"),
        ({"when": "category in (select * from read_csv('x.csv'))"}, r"rule 'slow': when: "),
        ({"more": "urgency: nothing"}, r"rule 'slow': urgency: no column 'nothing'"),
        ({"reason": "{agentname}"}, r"rule 'slow'.reason: no column 'agentname'"),
        ({"reason": "{channel:percent}"}, r"rule 'slow'.reason: 'channel' is no number"),
        ({"reason": "{p_satisfied:.2f}"}, r"rule 'slow'.reason: .*percent or duration"),
        ({"reason": "open {"}, r"rule 'slow'.reason: "),
        ({"more": "prio: 1"}, r"rule 'slow'.prio: unknown key"),
        ({"more": "priority: 0"}, r"rule 'slow'.priority: "),
        ({"more": "channel: pigeon"}, r"rule 'slow'.channel: "),
    ],
)
def test_a_mistake_is_named_with_file_rule_and_mend(
    tmp_path: Path, given: dict[str, str], message: str
) -> None:
    write(tmp_path, **given)
    with pytest.raises(ConfigError, match=message) as caught:
        load_rules(tmp_path)
    assert str(tmp_path / "followup.yml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    rule = "{code: slow, when: 'true', reason: x}"
    (tmp_path / "followup.yml").write_text(f"rules: [{rule}, {rule}]", encoding="utf-8")
    with pytest.raises(ConfigError, match="rule 'slow' stands twice"):
        load_rules(tmp_path)


def test_the_company_s_rules_win_over_the_shipped_ones(tmp_path: Path) -> None:
    assert len(load_rules(tmp_path).rules) == 5
    write(tmp_path, when="true -- everyone")
    assert [rule.code for rule in load_rules(tmp_path).rules] == ["slow"]


@pytest.mark.parametrize(
    ("template", "sql_type", "value", "text"),
    [
        ("{x:percent}", "decimal(9, 6)", "0.126", "13 %"),
        ("{x:duration}", "decimal(18, 3)", "47.4", "47 min"),
        ("{x:duration}", "decimal(18, 3)", "200", "3 h"),
        ("{x:duration}", "decimal(18, 3)", "4000", "3 days"),
        ("{x}", "decimal(18, 3)", "47.000", "47"),
        ("{x}", "decimal(9, 6)", "0.230000", "0.23"),
        ("{x}", "decimal(9, 6)", "100.50", "100.5"),
        ("{x}", "boolean", "true", "yes"),
        ("{x}", "timestamptz", "timestamptz '2024-05-01 10:00:00+00'", "2024-05-01 10:00"),
        ("'{x}' || {{1}}", "varchar", "'it''s'", "'it's' || {1}"),
        ("{x}", "varchar", "null", "unknown"),
        ("{x:duration}", "decimal(18, 3)", "null", "unknown"),
        ("a[ b {x}] c", "varchar", "'d'", "a b d c"),
        ("a[ b {x}] c", "varchar", "null", "a c"),
    ],
)
def test_values_are_written_as_a_person_would(
    template: str, sql_type: str, value: str, text: str
) -> None:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        sql = f"select {template_sql(template, {'x': sql_type})} from (select ({value})::{sql_type} as x)"
        assert con.execute(sql).fetchall() == [(text,)]
