"""The mapping of `sources.yml` as SQL: their columns become ours, all as text."""

from __future__ import annotations

import json
from dataclasses import dataclass

from carelake.entities import TIME_COLUMNS
from carelake.source import Source
from carelake.warehouse.connection import literal
from carelake.warehouse.incoming import Incoming, pointer
from carelake.warehouse.schema import raw_columns

ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
CLUES = ("in_reply_to", "email", "handle", "from_address", "to_address")
"""What tells who is who and what belongs together, besides ids, and phones, which are parsed."""
UNSEEN = r"[\s\p{Z}\p{Cc}\p{Cf}]+"


@dataclass(frozen=True)
class Mapped:
    """SQL expressions for one file of one source.

    Attributes:
        columns: our column -> expression, in the raw table's order.
        attributes: expression of the JSON object of kept attributes.
        extra: expression of the JSON object of everything unmapped.
        missing: our columns whose source column the file lacks.
    """

    columns: dict[str, str]
    attributes: str
    extra: str
    missing: list[str]


def map_file(source: Source, incoming: Incoming) -> Mapped:
    """Turn a source's mapping into SQL over one incoming file."""
    if source.rule.native:
        columns = {name: incoming.columns[name] for name in raw_columns(source.rule.native)}
        return Mapped(columns, "null::json", "null::json", [])
    find = _Finder(incoming)
    columns = {ours: _ours(source, ours, find) for ours in raw_columns(source.raw_table)}
    attributes = {a.name: find(a.name) for a in source.attributes}
    if source.shape:  # what a shape leaves out, its service does not have
        return Mapped(columns, _object(attributes), _extra(incoming, find), [])
    missing = [ours for ours, theirs in source.columns.items() if find(theirs) is None]
    return Mapped(columns, _object(attributes), _extra(incoming, find), missing)


def row_id(source: Source, incoming: Incoming, file_name: str) -> tuple[str, str]:
    """For sources that do not name their rows: (relation with the row's text, id expression).

    `content`: equal rows are one row. `none`: every row counts, and the n-th equal row of a file
    keeps its id when the file is read again.
    """
    content = incoming.json_record or _joined(incoming)
    relation = f"(select *, {content} as __content from {incoming.relation})"
    if source.dedupe_rule == "content":
        return relation, f"'x' || md5({literal(source.name)} || chr(31) || __content)"
    scope = literal(source.name + "\x1f" + file_name + "\x1f")
    nth = "row_number() over (partition by __content order by " + incoming.row_number + ")"
    return relation, f"'x' || md5({scope} || __content || chr(31) || {nth})"


class _Finder:
    """Finds a source column by name: exact first, then without regard to case and spaces."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._folded = {name.strip().lower(): name for name in reversed(incoming.columns)}
        self.used: set[str] = set()

    @property
    def is_json(self) -> bool:
        """Whether the file's records are JSON."""
        return self._incoming.json_record is not None

    def __call__(self, theirs: str) -> str | None:
        """SQL expression of a column's text, None when the file has no such column."""
        name = (
            theirs if theirs in self._incoming.columns else self._folded.get(theirs.strip().lower())
        )
        if name is not None:
            self.used.add(name)
            return self._incoming.columns[name]
        root, _, rest = theirs.partition(".")
        if rest and self._incoming.json_record and root in self._incoming.columns:
            place = literal(pointer(theirs.split(".")))
            return f"json_extract_string({self._incoming.json_record}, {place})"
        return None


def _ours(source: Source, ours: str, find: _Finder) -> str:
    theirs = source.columns.get(ours)
    found = find(theirs) if theirs is not None else None
    if found is None:
        return literal(source.constants.get(ours))
    # the rest stays as the source wrote it, staging trims it: trimming Unicode is dear
    decides = source.values.get(ours) or ours in source.constants or ours in TIME_COLUMNS
    text = f"nullif(trim({found}), '')" if decides else f"nullif({found}, '')"
    if ours in source.constants:
        text = f"coalesce({text}, {literal(source.constants[ours])})"
    if source.values.get(ours):
        text = _case(text, source.values[ours])
    if ours.endswith("_id") or ours in CLUES:
        text = _as_seen(text)
        if find.is_json:
            # Python writes so that there is no number: all who have none would be one customer
            text = f"nullif({text}, 'NaN')"
    if source.shape is None and (ours.endswith("_id") or ours == "in_reply_to"):
        # tools that read a number column with gaps write its ids as 1234.0
        whole = f"regexp_replace({text}, '^(\\d+)\\.0$', '\\1')"
        text = f"case when ends_with({text}, '.0') then {whole} else {text} end"
    if ours in TIME_COLUMNS:
        text = time_text(text, source.time_formats(ours), source.timezone)
    return text


def _as_seen(text: str) -> str:
    """A text without blanks, ends of lines and invisible marks around it.

    Exports write a tab behind an id so that a spreadsheet leaves it alone, and what is copied from
    a telephone brings marks of direction along: two that look the same are the same.
    """
    odd = " or ".join(f"ends_with({text}, chr({code}))" for code in (9, 10, 13, 32))
    # most are plain, and comparing is cheap: a pattern for each would be dear
    is_odd = f"{text} < '!' or strlen({text}) > length({text}) or {odd}"
    bare = f"regexp_replace({text}, '^{UNSEEN}|{UNSEEN}$', '', 'g')"
    return f"case when {is_odd} then nullif({bare}, '') else {text} end"


def _case(text: str, values: dict[str, str]) -> str:
    whens = " ".join(
        f"when {literal(theirs.strip().lower())} then {literal(ours)}"
        for theirs, ours in values.items()
    )
    return f"case lower({text}) {whens} else {text} end"


def time_text(text: str, formats: list[str], timezone: str) -> str:
    """A time as ISO 8601 in UTC; a text that is none in any format stays as it was."""
    zone = literal(timezone)
    if formats:
        naive = [f for f in formats if "%z" not in f and "%Z" not in f]
        aware = [f for f in formats if f not in naive]
        tries = [f"try_strptime({text}, {literal(f)})::timestamptz" for f in aware]
        if naive:
            listed = ", ".join(literal(f) for f in naive)
            tries.append(f"try(timezone({zone}, try_strptime({text}, [{listed}])))")
        moment = f"coalesce({', '.join(tries)})"
    else:
        moment = f"""coalesce(
            case when regexp_matches({text}, '^\\d{{10}}$') then to_timestamp(try_cast({text} as bigint))
                 when regexp_matches({text}, '^\\d{{13}}$')
                     then to_timestamp(try_cast({text} as bigint) // 1000)
                 when regexp_matches({text}, '(Z|z|[+-]\\d\\d:?\\d\\d)$')
                     then try_cast({text} as timestamptz) end,
            try(timezone({zone}, try_cast({text} as timestamp))))"""
    full = f"coalesce(strftime(timezone('UTC', {moment}), '{ISO}'), {text})"
    if formats or timezone.upper() != "UTC":
        return full
    # what most files hold, 2024-01-31 10:00:00 with a blank or T, needs no looking for an offset
    plain = f"strftime(try_cast({text} as timestamp), '{ISO}')"
    return f"""case when length({text}) = 19 and {text}[17] = ':' and {text}[5] = '-'
        then coalesce({plain}, {text}) else {full} end"""


def _object(members: dict[str, str | None]) -> str:
    if not members:
        return "null::json"
    pairs = ", ".join(
        f"{literal(name)}, {text or 'null::varchar'}" for name, text in members.items()
    )
    return f"json_object({pairs})"


def _extra(incoming: Incoming, find: _Finder) -> str:
    if incoming.theirs is not None:
        return str(incoming.json_record)
    rest = {name: text for name, text in incoming.columns.items() if name not in find.used}
    if incoming.json_record and rest:
        gone = json.dumps(dict.fromkeys(sorted(find.used)), ensure_ascii=False)
        return f"json_merge_patch({incoming.json_record}, {literal(gone)})"
    return _object(dict(rest))


def _joined(incoming: Incoming) -> str:
    texts = ", ".join(f"coalesce({text}, chr(30))" for text in incoming.columns.values())
    return f"concat_ws(chr(31), {texts})" if texts else "''"
