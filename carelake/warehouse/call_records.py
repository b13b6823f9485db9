"""Call records as CSV without a header: which column is which, found by where the times stand."""

from __future__ import annotations

import duckdb

from carelake.source import Source
from carelake.warehouse.incoming import Incoming, UnreadableFile, unique_names

ASTERISK = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
    "start", "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
"""`cdr_csv.conf`, before what its options add."""
ASTERISK_MORE = ("peeraccount", "linkedid", "sequence")
ASTERISK_CSV: dict[int, tuple[str, ...]] = {
    16: ASTERISK,
    17: (*ASTERISK, "uniqueid"),
    18: (*ASTERISK, "uniqueid", "userfield"),
    19: (*ASTERISK, *ASTERISK_MORE),
    20: (*ASTERISK, "uniqueid", *ASTERISK_MORE),
    21: (*ASTERISK, "uniqueid", "userfield", *ASTERISK_MORE),
}
"""By number of columns: `loguniqueid`, `loguserfield` and `newcdrcolumns` of `cdr_csv.conf`."""
ASTERISK_CUSTOM = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "start",
    "answer", "end", "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid",
    "userfield", "sequence", "linkedid", "peeraccount",
)  # fmt: skip
"""The mapping in the sample of `cdr_custom.conf` has the first 19."""
FREESWITCH = (
    "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp",
    "answer_stamp", "end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid",
    "accountcode", "read_codec", "write_codec", "sip_user_agent", "call_clientcode",
    "sip_rtp_rxstat", "sip_rtp_txstat", "sofia_record_file",
)  # fmt: skip
"""Templates `example` (15 columns) and `snom` (20) of `cdr_csv.conf.xml`."""
FREESWITCH_AS_ASTERISK = (
    "accountcode", "caller_id_number", "destination_number", "context", "caller_id", "channel_name",
    "bridge_channel", "last_app", "last_arg", "start_stamp", "answer_stamp", "end_stamp",
    "duration", "billsec", "hangup_cause", "amaflags", "uuid", "userfield",
)  # fmt: skip
"""Template `asterisk` of `cdr_csv.conf.xml`."""
READ = {
    "asterisk_cdr": (*ASTERISK, "uniqueid", "linkedid", "sequence", "hold_seconds"),
    "freeswitch_cdr": (
        *FREESWITCH[:12], "originating_leg_uuid", "bridge_uuid", "signal_bond", "last_app",
        "cc_queue", "cc_agent", "hold_accum_seconds",
    ),
}  # fmt: skip
"""Columns a kind's shape reads; one that a file lacks is empty there."""
NEEDED = {
    "asterisk_cdr": ("src", "dst", "start", "disposition"),
    "freeswitch_cdr": ("uuid", "start_stamp", "destination_number"),
}
TIME = r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}[ T]\d{1,2}:\d\d"


def name_columns(
    con: duckdb.DuckDBPyConnection, source: Source, incoming: Incoming
) -> dict[str, str]:
    """The columns of a file of call records by their names, each with the SQL that gives it.

    Raises:
        UnreadableFile: it is no such file, or the layout that was named does not fit.
    """
    if source.calls is None or not incoming.columns:
        return incoming.columns
    places = list(incoming.columns.values())
    names = list(source.calls.layout or ())
    if names and len(names) != len(places):
        raise UnreadableFile(
            f"cannot be read: has {len(places)} columns, and calls.layout names {len(names)}; "
            "correct the layout"
        )
    if not names and source.header:
        names = [name.strip().lower() for name in incoming.columns]
    if not names:
        names = _found(con, source, incoming, places)
    lacking = [name for name in NEEDED[source.kind] if name not in names]
    if lacking:
        raise UnreadableFile(
            f"cannot be read: calls.layout has no {', '.join(lacking)}; name the columns in order"
        )
    return dict(zip(unique_names(names), places, strict=True))


def _found(
    con: duckdb.DuckDBPyConnection, source: Source, incoming: Incoming, places: list[str]
) -> list[str]:
    """Names by the number of columns and the place of the first time."""
    n_columns, at = len(places), _place_of_time(con, incoming, places)
    layout: tuple[str, ...] | None = None
    if source.kind == "asterisk_cdr":
        if at == ASTERISK_CUSTOM.index("start") and n_columns >= 16:
            layout = ASTERISK_CUSTOM
        elif at == ASTERISK.index("start"):
            layout = ASTERISK_CSV.get(n_columns)
    elif at == FREESWITCH.index("start_stamp") and n_columns >= 12:
        layout = FREESWITCH
    elif at == FREESWITCH_AS_ASTERISK.index("start_stamp") and n_columns == 18:
        layout = FREESWITCH_AS_ASTERISK
    if layout is None:
        seen = "no time" if at is None else f"the first time in column {at + 1}"
        raise UnreadableFile(
            f"cannot be read: {n_columns} columns with {seen} are no layout of {source.kind} that is "
            "known; name the columns in order in calls.layout"
        )
    return [*layout[:n_columns], *(f"column{i}" for i in range(len(layout), n_columns))]


def _place_of_time(
    con: duckdb.DuckDBPyConnection, incoming: Incoming, places: list[str]
) -> int | None:
    """Which column is the first that holds a time in most records."""
    shares = ", ".join(f"avg(regexp_matches({place}, '{TIME}')::integer)" for place in places)
    row = con.execute(f"select {shares} from (from {incoming.relation} limit 1000)").fetchone()
    return next((i for i, share in enumerate(row or ()) if (share or 0) > 0.5), None)
