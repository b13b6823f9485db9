"""Reason templates, turned into SQL.

`{column}` is a value, `{column:percent}` and `{column:duration}` (minutes) a value in words. A part in
square brackets is left out when a value in it is missing: `Rated {survey_score}[ for '{category}']`.
"""

from __future__ import annotations

import re
from string import Formatter

NUMBERS = ("decimal", "integer", "bigint")
STYLES = ("", "percent", "duration")
WORDS = {
    "en": {
        "unknown": "unknown",
        "min": " min",
        "h": " h",
        "days": " days",
        "yes": "yes",
        "no": "no",
    },
    "zh": {"unknown": "未知", "min": " 分钟", "h": " 小时", "days": " 天", "yes": "是", "no": "否"},
}
"""What is put into a reason besides values, by its language."""


def placeholders(template: str) -> list[tuple[str, str]]:
    """The (column, style) pairs a template names, in order.

    Raises:
        ValueError: a brace stands alone, a placeholder is empty, or its style is unknown.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{error}; write {{column}}, and {{{{ for a brace") from error
    found = []
    for _, column, style, conversion in parts:
        if column is None:
            continue
        if not column.isidentifier() or conversion:
            raise ValueError(f"'{{{column}}}' is no placeholder; write {{column}}")
        if (style or "") not in STYLES:
            raise ValueError(f"'{column}:{style}': use percent or duration, or no style")
        found.append((column, style or ""))
    return found


def template_sql(template: str, types: dict[str, str], language: str = "en") -> str:
    """An SQL expression that fills a template from a row with the columns `types` names."""
    words = WORDS[language]
    pieces = []
    for position, part in enumerate(re.split(r"\[([^\[\]]*)\]", template)):
        is_optional = position % 2 == 1
        values = _part_sql(part, types, "" if is_optional else words["unknown"], words)
        if values:
            joined = " || ".join(values)
            pieces.append(f"coalesce({joined}, '')" if is_optional else joined)
    return " || ".join(pieces) or "''"


def _part_sql(part: str, types: dict[str, str], missing: str, words: dict[str, str]) -> list[str]:
    pieces = []
    for text, column, style, _ in Formatter().parse(part):
        if text:
            pieces.append(text_literal(text))
        if column is not None:
            value = _value_sql(column, style or "", types[column], words)
            pieces.append(
                f"coalesce({value}, {text_literal(missing)})" if missing else f"({value})"
            )
    return pieces


def text_literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _value_sql(column: str, style: str, sql_type: str, words: dict[str, str]) -> str:
    if style == "percent":
        shown = f"round({column} * 100)::integer::varchar || ' %'"
    elif style == "duration":
        shown = (
            f"case when {column} < 90 then round({column})::bigint::varchar || '{words['min']}' "
            f"when {column} < 2880 then round({column} / 60)::bigint::varchar || '{words['h']}' "
            f"else round({column} / 1440)::bigint::varchar || '{words['days']}' end"
        )
    elif sql_type.startswith("decimal"):
        # money keeps both its decimals, a mere number only those it needs
        needless = "[.]00$" if sql_type == "decimal(18, 2)" else "[.]?0+$"
        shown = f"regexp_replace(round({column}, 2)::decimal(18, 2)::varchar, '{needless}', '')"
        shown = f"case when {column} = trunc({column}) then trunc({column})::bigint::varchar else {shown} end"
    elif sql_type == "timestamptz":
        shown = f"strftime({column}, '%Y-%m-%d %H:%M')"
    elif sql_type == "boolean":
        shown = f"if({column}, '{words['yes']}', '{words['no']}')"
    else:
        shown = f"{column}::varchar"
    return shown
