"""Reason templates: `{column}`, `{column:percent}` and `{column:duration}`, turned into SQL."""

from __future__ import annotations

from string import Formatter

NUMBERS = ("decimal", "integer", "bigint")
STYLES = ("", "percent", "duration")


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


def template_sql(template: str, types: dict[str, str]) -> str:
    """An SQL expression that fills a template from a row with the columns `types` names."""
    pieces = []
    for text, column, style, _ in Formatter().parse(template):
        if text:
            pieces.append(text_literal(text))
        if column is not None:
            pieces.append(_value_sql(column, style or "", types[column]))
    return " || ".join(pieces) or "''"


def text_literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _value_sql(column: str, style: str, sql_type: str) -> str:
    if style == "percent":
        shown = f"round({column} * 100)::integer::varchar || ' %'"
    elif style == "duration":
        shown = (
            f"case when {column} < 90 then round({column})::bigint::varchar || ' min' "
            f"when {column} < 2880 then round({column} / 60)::bigint::varchar || ' h' "
            f"else round({column} / 1440)::bigint::varchar || ' days' end"
        )
    elif sql_type.startswith("decimal"):
        shown = f"regexp_replace(round({column}, 2)::decimal(18, 2)::varchar, '[.]?0+$', '')"
        shown = f"case when {column} = trunc({column}) then trunc({column})::bigint::varchar else {shown} end"
    elif sql_type == "timestamptz":
        shown = f"strftime({column}, '%Y-%m-%d %H:%M')"
    elif sql_type == "boolean":
        shown = f"if({column}, 'yes', 'no')"
    else:
        shown = f"{column}::varchar"
    return f"coalesce({shown}, 'unknown')"
