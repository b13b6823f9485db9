"""Call records of telephone systems: recognised, loaded whole, and understood leg by leg."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.call_records import ASTERISK_CSV, ASTERISK_CUSTOM, FREESWITCH_AS_ASTERISK
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load
from tests.carelake.sources.phone.calls import LEGS, as_csv

Make = Callable[..., Context]
PBX = "{name: pbx, kind: asterisk_cdr, path: 'cdr/*', region: CN, timezone: Asia/Shanghai}"
UNDERSTOOD = """
    select direction, from_address, to_address, customer_name, agent, queue, status, started_at,
        answered_at, ended_at, talk_seconds
    from raw.call_legs order by started_at, ended_at, to_address
"""


def company(make_context: Make, *sources: str) -> Context:
    return make_context("sources:\n" + "".join(f"  - {source}\n" for source in sources))


def put(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / "cdr" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")


def bring(ctx: Context) -> list[BatchResult]:
    for source in ctx.sources.sources:
        extract_source(source, ctx.config_dir, ctx.home.landing)
    return load(ctx)


def ask(ctx: Context, query: str) -> list[Any]:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        found = con.execute(query).fetchall()
    return [row[0] for row in found] if found and len(found[0]) == 1 else found


@pytest.mark.parametrize(
    "layout",
    [*ASTERISK_CSV.values(), ASTERISK_CUSTOM[:19], ASTERISK_CUSTOM[:20]],
    ids=lambda layout: f"{len(layout)} columns, {layout[0]} first",
)
def test_every_layout_of_asterisk_tells_the_same_of_a_leg(
    make_context: Make, tmp_path: Path, layout: tuple[str, ...]
) -> None:
    put(tmp_path, "Master.csv", as_csv(layout))
    ctx = company(make_context, PBX)
    assert [(r.n_physical, r.n_rejects) for r in bring(ctx)] == [(len(LEGS), 0)]
    legs = ask(ctx, UNDERSTOOD)
    assert legs[0] == (
        "inbound", "13800138000", "1001", "李 Na", "1001", None, "answered",
        "2026-03-02T01:00:00.000000Z", "2026-03-02T01:00:15.000000Z", "2026-03-02T01:02:15.000000Z",
        "120",
    )  # fmt: skip
    assert Counter(leg[0] for leg in legs) == {"inbound": 6, "outbound": 2, "internal": 3}
    assert Counter(leg[6] for leg in legs) == {
        "answered": 7, "no answer": 2, "abandoned": 1, "voicemail": 1,
    }  # fmt: skip
    by_callee = {leg[2]: leg for leg in legs}
    assert by_callee["02155512345"][4] == "1002", "we called: the agent is the caller"
    assert [leg[5] for leg in legs if leg[2] == "400"] == ["support", "support"]
    assert ask(ctx, "select count(distinct leg_id) from raw.call_legs") == [len(LEGS)]
    calls = ask(ctx, "select count(distinct call_id) from raw.call_legs where call_id is not null")
    assert calls == [8 if "linkedid" in layout else 11 if "uniqueid" in layout else 0]


def test_the_real_files_are_understood(
    make_context: Make, tmp_path: Path, shared_data: Path
) -> None:
    records = shared_data / "call_detail_records"
    for kind in ("asterisk", "freeswitch"):
        (tmp_path / kind).mkdir()
        shutil.copy(next(records.glob(f"{kind}_Master*.csv")), tmp_path / kind / "Master.csv")
    ctx = company(
        make_context,
        "{name: one, kind: asterisk_cdr, path: asterisk/Master.csv}",
        "{name: two, kind: freeswitch_cdr, path: freeswitch/Master.csv}",
    )
    assert [(r.n_physical, r.n_raw, r.held_reason) for r in bring(ctx)] == [
        (14, 14, None),
        (10, 10, None),
    ]
    asterisk = ask(
        ctx, "select status, answered_at is null from raw.call_legs where source_name = 'one'"
    )
    assert Counter(asterisk) == {("answered", False): 11, ("no answer", True): 3}
    # a table program took the seconds; duration and billsec still tell them
    freeswitch = ask(ctx, """
        select answered_at[12:19], ended_at[12:19], talk_seconds from raw.call_legs
        where source_name = 'two' order by row_number
    """)  # fmt: skip
    assert freeswitch[:3] == [
        ("22:41:02", "22:41:11", "9"),
        ("22:40:03", "22:41:04", "61"),
        (None, "22:41:02", "0"),
    ]


def test_freeswitch_names_the_other_leg_hold_and_agents(make_context: Make, tmp_path: Path) -> None:
    a, b = "d80e22e0-0000-11ea-97a0-000000000001", "d80e22e0-0000-11ea-97a0-000000000002"
    put(tmp_path, "Master.csv", (
        f'"Li Na","13800138000","4000","public","2026-03-02 09:00:00","2026-03-02 09:00:01","2026-03-02 09:03:00","180","179","NORMAL_CLEARING","{a}","{b}","","PCMA","PCMA","",""\n'
        f'"Li Na","13800138000","1002","default","2026-03-02 09:00:20","2026-03-02 09:00:30","2026-03-02 09:03:00","160","150","NORMAL_CLEARING","{b}","","","PCMA","PCMA","{a}","25"\n'
    ))  # fmt: skip
    names = (
        "caller_id_name, caller_id_number, destination_number, context, start_stamp, answer_stamp, "
        "end_stamp, duration, billsec, hangup_cause, uuid, bleg_uuid, accountcode, read_codec, "
        "write_codec, originating_leg_uuid, hold_accum_seconds"
    )
    ctx = company(
        make_context,
        f"{{name: fs, kind: freeswitch_cdr, path: 'cdr/*', calls: {{layout: [{names}]}}}}",
    )
    bring(ctx)
    assert ask(ctx, """
        select leg_id, linked_leg_id, agent, status, hold_seconds from raw.call_legs order by row_number
    """) == [(a, b, "4000", "answered", None), (b, a, "1002", "unbridged", "25")]  # fmt: skip


def test_freeswitch_in_the_manner_of_asterisk(make_context: Make, tmp_path: Path) -> None:
    values = dict.fromkeys(FREESWITCH_AS_ASTERISK, "") | {
        "caller_id_number": "13800138000", "destination_number": "1001", "uuid": "u-1",
        "start_stamp": "2026-03-02 09:00:00", "end_stamp": "2026-03-02 09:00:20", "duration": "20",
        "billsec": "0", "hangup_cause": "ORIGINATOR_CANCEL",
    }  # fmt: skip
    put(tmp_path, "Master.csv", ",".join(f'"{value}"' for value in values.values()) + "\n")
    ctx = company(make_context, "{name: fs, kind: freeswitch_cdr, path: 'cdr/*'}")
    bring(ctx)
    assert ask(ctx, "select leg_id, direction, status, answered_at from raw.call_legs") == [
        ("u-1", "inbound", "no answer", None)
    ]


def test_a_broken_record_is_a_reject_and_the_rest_goes_on(
    make_context: Make, tmp_path: Path
) -> None:
    put(tmp_path, "Master.csv", as_csv(ASTERISK_CSV[18]) + '"torn","13800\n')
    ctx = company(make_context, PBX)
    result = bring(ctx)[0]
    assert (result.n_physical, result.n_raw, result.n_rejects) == (12, 11, 1)


def test_a_pattern_tells_whose_names_are_extensions(make_context: Make, tmp_path: Path) -> None:
    leg = replace(LEGS[0], src="anna", dst="desk", dstchannel="PJSIP/desk-00000001")
    put(tmp_path, "Master.csv", as_csv(ASTERISK_CSV[18], [leg]))
    ctx = company(make_context, PBX.replace("region: CN", "calls: {extensions: 'desk|front'}"))
    bring(ctx)
    assert ask(ctx, "select direction, agent from raw.call_legs") == [("inbound", "desk")]


@pytest.mark.parametrize(
    ("content", "calls", "said"),
    [
        ('"a","b","2026-03-02 09:00:00"\n', "", r"3 columns with the first time in column 3 are no"),
        ('"a","b","c"\n', "", r"3 columns with no time are no layout .* calls\.layout"),
        ('"a","b","c"\n', "calls: {layout: [src, dst, start, x]}, ", r"3 columns, .* names 4"),
        ('"a","b","c"\n', "calls: {layout: [src, dst, x]}, ", r"layout has no start, disposition"),
    ],
)  # fmt: skip
def test_a_file_of_another_layout_is_held_and_says_what_to_write(
    make_context: Make, tmp_path: Path, content: str, calls: str, said: str
) -> None:
    put(tmp_path, "Master.csv", content)
    ctx = company(make_context, PBX.replace("region", calls + "region"))
    reason = bring(ctx)[0].held_reason
    assert reason is not None and re.search(said, reason), reason


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("columns: {call_id: uniqueid}", "columns: kind asterisk_cdr knows its records; remove"),
        ("entity: communications", "entity: kind asterisk_cdr knows its records; remove"),
        ("calls: {extensions: '['}", "is no pattern"),
        ("calls: {extensions: '(?=8).*'}", "is no pattern"),
        ("calls: {layout: [src, dst, src]}", "src stands twice"),
        ("format: jsonl", "reads csv; remove the key"),
    ],
)
def test_what_the_kind_knows_itself_is_refused_by_name(
    make_context: Make, more: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        company(make_context, PBX.replace("region: CN", more))
