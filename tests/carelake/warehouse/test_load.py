from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.csv_repair import Dialect, look_at, may_go_on
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load
from carelake.warehouse.quarantine import replay, show

CSV = """
    sources:
      - name: calls
        kind: files
        path: inbox/calls*
        format: {format}
        {more}
        entity: communications
        columns: {{communication_id: id, phone: number, sent_at: at, body: text, direction: way}}
        values: {{direction: {{呼入: inbound, Out: outbound}}}}
        attributes: [mood]
        timestamps: ["%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z"]
        timezone: Asia/Shanghai
"""


def company(
    make_context: Callable[..., Context], file_format: str = "csv", more: str = ""
) -> Context:
    return make_context(CSV.format(format=file_format, more=more or "owner: someone"))


def bring(ctx: Context) -> list[BatchResult]:
    for source in ctx.sources.sources:
        extract_source(source, ctx.config_dir, ctx.home.landing)
    return load(ctx)


def ask(ctx: Context, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(query).fetchall()


def put(tmp_path: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> None:
    path = tmp_path / "inbox" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))


def test_columns_values_and_times_are_mapped_and_the_rest_is_kept(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context)
    put(
        tmp_path,
        "calls.csv",
        "id,number,at,text,way,mood,shelf\n"
        "7.0, 138 ,31/01/2024 08:00,你好,呼入,glad,A\n"
        "8,139,2024-01-31T08:00:00+00:00,hi,OUT,,B\n"
        "9,140,31/02/2024 08:00,,sideways,,\n",
    )
    bring(ctx)
    rows = ask(
        ctx,
        "select communication_id, phone, sent_at, body, direction, attributes->>'mood', "
        "extra->>'shelf', row_number from raw.communications order by row_number",
    )
    assert rows == [
        ("7", " 138 ", "2024-01-31T00:00:00.000000Z", "你好", "inbound", "glad", "A", 1),
        ("8", "139", "2024-01-31T08:00:00.000000Z", "hi", "outbound", None, "B", 2),
        ("9", "140", "31/02/2024 08:00", None, "sideways", None, None, 3),
    ]


def test_ids_and_addresses_that_look_the_same_are_the_same(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context("""
        sources:
          - name: people
            kind: files
            path: inbox/people*
            format: jsonl
            entity: customers
            columns: {customer_id: id, email: mail, handle: nick}
    """)
    plain = ("7", "a@b.example", "邓 丽👩‍👩‍👧")
    dressed = (
        "{}",
        "\t{}",
        "{}\t",
        "{} \r\n",
        "\u200e{}",
        "\u202a{}\u202c",
        "\ufeff{}",
        "\xa0{}\u3000",
    )
    rows = [
        {**dict(zip(("id", "mail", "nick"), map(how.format, plain), strict=True)), "n": n}
        for n, how in enumerate(dressed)
    ]
    rows += [{"id": "7.0\t", "mail": "\t", "nick": "\u200b \n"}]
    put(tmp_path, "people.jsonl", "\n".join(map(json.dumps, rows)))
    bring(ctx)
    found = ask(ctx, "select customer_id, email, handle from raw.customers order by row_number")
    assert found == [plain] * len(dressed) + [("7", None, None)]


def test_each_broken_csv_record_costs_itself_only_and_the_account_closes(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context)
    head = "id,number,at,text,way\n"
    good = [f"{i},1,01/01/2024 00:00,t{i},Out" for i in range(40)]
    lines = list(good)
    lines.insert(5, 'bad,1,01/01/2024 00:00,"never closed,Out')
    lines.insert(11, "bad,few")
    lines.insert(20, "bad,1,01/01/2024 00:00,a,b,too many")
    lines.insert(30, "bad,1,01/01/2024 00:00,nul\0here,Out")
    put(tmp_path, "calls.csv", head + "\n".join(lines) + "\n")
    (batch,) = bring(ctx)
    assert (batch.n_physical, batch.n_raw, batch.n_rejects) == (44, 40, 4)
    placed = ask(ctx, "select row_number from raw.communications order by row_number")
    assert [row for (row,) in placed] == [i for i in range(1, 45) if i not in (6, 12, 21, 31)]
    rejects = ask(
        ctx, "select row_number, line_number, raw_text from ops.structural_rejects order by 1"
    )
    assert [(row, line) for row, line, _ in rejects] == [(6, 7), (12, 13), (21, 22), (31, 32)]
    assert rejects[1][2] == "bad,few"


def test_gb18030_files_are_read_and_a_byte_that_is_none_costs_its_record(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context, more="encoding: gb18030")
    text = "id,number,at,text,way\n1,1,01/01/2024 00:00,退款,呼入\n2,1,01/01/2024 00:00,?,呼入\n3,1,01/01/2024 00:00,好,Out\n"
    put(tmp_path, "calls.csv", text.encode("gb18030").replace(b"?", b"\xff\xff"))
    (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects) == (2, 1)
    assert ask(ctx, "select body from raw.communications order by 1") == [("好",), ("退款",)]


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_lose_only_the_lines_that_are_no_objects(
    tmp_path: Path, make_context: Callable[..., Context], packed: bool
) -> None:
    ctx = company(make_context, "jsonl")
    lines = [
        json.dumps({"id": i, "text": "好", "nested": {"a": [1]}}, ensure_ascii=False)
        for i in (1, 2, 3)
    ]
    lines[1:1] = ['{"id": 9, "text": "cut', "[1, 2]"]
    content = ("\n".join(lines) + "\n").encode() + b'{"id": 4, "text": "\xff"}\n\n'
    put(
        tmp_path,
        "calls.jsonl.gz" if packed else "calls.jsonl",
        gzip.compress(content) if packed else content,
    )
    (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects) == (3, 3)
    assert ask(ctx, "select communication_id, extra->>'$.nested.a[0]' from raw.communications order by 1") == [
        ("1", "1"), ("2", "1"), ("3", "1"),
    ]  # fmt: skip
    assert [
        row[0] for row in ask(ctx, "select line_number from ops.structural_rejects order by 1")
    ] == [2, 3, 6]


def test_a_json_document_is_read_at_its_records_path(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context, "json", "records_path: data.items")
    put(
        tmp_path,
        "calls.json",
        json.dumps({"data": {"items": [{"id": 1, "text": "a"}, 5, {"id": 2}]}}),
    )
    (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects) == (2, 1)
    assert ask(ctx, "select communication_id, body from raw.communications order by 1") == [
        ("1", "a"),
        ("2", None),
    ]


@pytest.mark.parametrize("file_format", ["parquet", "xlsx"])
def test_typed_files_give_the_same_texts_as_csv(
    tmp_path: Path, make_context: Callable[..., Context], file_format: str
) -> None:
    ctx = company(make_context, file_format)
    target = tmp_path / "inbox" / f"calls.{file_format}"
    target.parent.mkdir()
    frame = pd.DataFrame(
        {"id": [12.0], "at": ["01/02/2024 08:00"], "text": ["你好"], "way": ["Out"]}
    )
    if file_format == "xlsx":
        frame.to_excel(target, index=False)
    else:
        frame.to_parquet(target)
    bring(ctx)
    rows = ask(
        ctx, "select communication_id, sent_at, body, direction, row_number from raw.communications"
    )
    assert rows == [("12", "2024-02-01T00:00:00.000000Z", "你好", "outbound", 1)]


def test_a_parquet_time_with_a_zone_is_not_taken_for_one_of_the_source_s_zone(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(
        CSV.replace("timestamps: [", "tags: [").format(format="parquet", more="owner: me")
    )
    target = tmp_path / "inbox" / "calls.parquet"
    target.parent.mkdir()
    with duckdb.connect() as con:
        con.execute(
            "copy (select 1 as id, timestamptz '2024-02-01 08:00:00+00' as at, ['a', '中'] as text union all "
            f"select 2, null, null) to '{target}'"
        )
    bring(ctx)
    rows = ask(ctx, "select sent_at, body from raw.communications order by communication_id")
    assert rows == [("2024-02-01T08:00:00.000000Z", '["a","中"]'), (None, None)]


@pytest.mark.parametrize(
    ("name", "content", "file_format"),
    [
        ("calls.json", b'{"data": [', "json"),
        ("calls.csv.gz", gzip.compress(b"id,text\n" + b"1,x\n" * 9_000, mtime=0)[:-30], "csv"),
        ("calls.csv.zst", zstandard.compress(b"id,text\n" + b"1,x\n" * 9_000)[:-12], "csv"),
        ("calls.jsonl.zst", zstandard.compress(b'{"id": 1}\n' * 9_000)[:-12], "jsonl"),
        ("calls.parquet", b"PAR1 no parquet", "parquet"),
        ("calls.xlsx", b"not a zip", "xlsx"),
    ],
)
def test_a_file_that_cannot_be_read_holds_its_batch_with_the_reason(
    tmp_path: Path,
    make_context: Callable[..., Context],
    name: str,
    content: bytes,
    file_format: str,
) -> None:
    ctx = company(make_context, file_format)
    put(tmp_path, name, content)
    (batch,) = bring(ctx)
    assert batch.n_raw == 0
    assert batch.held_reason is not None
    assert f"inbox/{name}" in batch.held_reason
    assert ask(ctx, "select status from ops.ledger") == [("held",)]


def test_an_empty_file_and_a_lone_header_load_nothing_without_a_fault(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context)
    put(tmp_path, "calls-1.csv", "")
    put(tmp_path, "calls-2.csv", "id,number,at,text,way\n")
    (batch,) = bring(ctx)
    assert (batch.n_physical, batch.held_reason) == (0, None)


def test_a_column_that_is_gone_and_one_that_is_new_are_reported(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context)
    put(tmp_path, "calls-1.csv", "id,number,at,text,way,mood\n1,1,,a,Out,ok\n")
    put(tmp_path, "calls-2.csv", "")
    bring(ctx)
    put(tmp_path, "calls-2.csv", "ID ,number,text,way,mood,colour\n2,1,b,Out,ok,red\n")
    (batch,) = bring(ctx)
    assert batch.missing == ["sent_at"]
    assert "colour" in batch.new
    assert ask(ctx, "select communication_id from raw.communications order by 1") == [
        ("1",),
        ("2",),
    ]


def test_rows_without_an_id_keep_theirs_when_the_file_grows(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(
        """
        sources:
          - {name: notes, kind: files, path: inbox/n.csv, format: csv, entity: communications, columns: {body: text}}
        """
    )
    put(tmp_path, "n.csv", "text\nhi\nhi\n")
    bring(ctx)
    put(tmp_path, "n.csv", "text\nhi\nhi\nbye\n")
    bring(ctx)
    rows = ask(
        ctx,
        "select batch_seq, list(communication_id order by row_number) from raw.communications group by 1 order by 1",
    )
    first, second = rows[0][1], rows[1][1]
    assert len(set(first)) == 2
    assert second[:2] == first
    assert len(set(second)) == 3


def test_loading_twice_changes_nothing(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context)
    put(tmp_path, "calls.csv", "id,number,at,text,way\n1,1,,a,Out\n")
    assert len(bring(ctx)) == 1
    assert bring(ctx) == []
    assert ask(ctx, "select count(*) from raw.communications") == [(1,)]


def test_replay_after_a_mended_mapping_brings_rows_back_exactly_once(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context, more='delimiter: ";"')
    put(tmp_path, "calls.csv", "id,number,at,text,way\n1,1,,a,Out\n2,1,,b;c,Out\n")
    (batch,) = bring(ctx)
    assert batch.n_rejects == 1
    assert show(ctx, ["calls"], 5)[0].text == "2,1,,b;c,Out"
    mended = company(make_context, more='delimiter: ","')
    results = replay(mended)
    assert [(r.n_raw, r.n_rejects) for r in results] == [(2, 0)]
    assert show(mended, None, 5) == []
    assert ask(ctx, "select communication_id from raw.communications order by 1") == [
        ("1",),
        ("2",),
    ]
    assert ask(ctx, "select count(*), max(batch_seq) from ops.ledger") == [(1, 1)]


def test_sql_in_names_and_values_is_only_text(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(
        """
        sources:
          - name: odd
            kind: files
            path: "inbox/it's; drop table ops.ledger; --*.csv"
            format: csv
            entity: communications
            columns: {communication_id: "i'd", body: "te\\"xt"}
            values: {body: {"x'); drop table raw.communications; --": "y'"}}
            attributes: ["a'b"]
        """
    )
    put(
        tmp_path,
        "it's; drop table ops.ledger; --1.csv",
        'i\'d,"te""xt",a\'b,"\'""; --"\n1,x\'); drop table raw.communications; --,3,4\n',
    )
    bring(ctx)
    assert ask(
        ctx, "select body, attributes->>'a''b', count(*) over () from raw.communications"
    ) == [("y'", "3", 1)]


@pytest.mark.parametrize("broken", [False, True])
def test_zst_files_are_opened_on_the_fast_and_on_the_careful_way(
    tmp_path: Path, make_context: Callable[..., Context], broken: bool
) -> None:
    ctx = company(make_context)
    text = "id,number,at,text,way\n1,1,,a,Out\n" + ("bad,few\n" if broken else "") + "2,1,,b,Out\n"
    put(tmp_path, "calls.csv.zst", zstandard.compress(text.encode()))
    (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects) == (2, int(broken))


def test_a_packed_json_document_is_opened(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = company(make_context, "json")
    put(tmp_path, "calls.json.gz", gzip.compress(b'[{"id": 1, "text": "a"}]'))
    (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects) == (1, 0)


def test_a_mapped_member_inside_a_json_object_is_found_by_its_path(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(
        """
        sources:
          - name: notes
            kind: files
            path: inbox/n.jsonl
            format: jsonl
            entity: communications
            columns: {communication_id: id, body: content.text, handle: "from.id"}
        """
    )
    put(
        tmp_path,
        "n.jsonl",
        '{"id": "1", "content": {"text": "hi"}, "from.id": "u1"}\n{"id": "2", "content": null}\n',
    )
    bring(ctx)
    rows = ask(ctx, "select communication_id, body, handle from raw.communications order by 1")
    assert rows == [("1", "hi", "u1"), ("2", None, None)]


@pytest.mark.parametrize("name", ["calls.CSV.GZ", "calls.csv.Zst"])
def test_packed_files_are_known_by_an_end_in_capitals_too(
    tmp_path: Path, make_context: Callable[..., Context], name: str
) -> None:
    pack = gzip.compress if name.endswith("GZ") else zstandard.ZstdCompressor().compress
    ctx = company(make_context)
    put(tmp_path, name, pack(b"id,number,at,text,way,mood\n1,138,,hi,in,\n"))
    (result,) = bring(ctx)
    assert (result.n_raw, result.held_reason) == (1, None)


@pytest.mark.parametrize("broken", [False, True])
def test_a_record_is_read_alike_whether_another_one_is_broken_or_not(
    tmp_path: Path, make_context: Callable[..., Context], broken: bool
) -> None:
    ctx = company(make_context)
    text = 'id,number,at,text,way\n1,1,,a,Out,\n2,1,,b,Out,,\n3,1,,c,Out,,,""\n4,1,,d,Out,, \n'
    put(tmp_path, "calls.csv", text + ("5,few\n" if broken else ""))
    (batch,) = bring(ctx)
    found = ask(ctx, "select communication_id, body from raw.communications order by row_number")
    assert found == [("1", "a"), ("2", "b"), ("3", "c")]
    assert batch.n_rejects == 1 + int(broken)


@pytest.mark.parametrize("name", ["calls.csv", "calls.csv.gz"])
@pytest.mark.parametrize(
    ("lines", "bodies"),
    [
        # DuckDB's reader goes on behind a quote, blanks and another quote, over the end of a line
        (['1,1,,"never closed', '2,1,,5" " " ,Out', "3,1,,z,Out"], ['5" " " ', "z"]),
        (['1,1,,"a" "b",Out', "2,1,,z,Out"], ["z"]),
        (['1,1,, "" """",Out', "2,1,,z,Out"], ["z"]),
    ],
)
def test_a_quote_and_blanks_and_a_quote_join_nothing(
    tmp_path: Path,
    make_context: Callable[..., Context],
    name: str,
    lines: list[str],
    bodies: list[str],
) -> None:
    ctx = company(make_context)
    text = "\n".join(["id,number,at,text,way", *lines]).encode()
    put(tmp_path, name, gzip.compress(text) if name.endswith(".gz") else text)
    (batch,) = bring(ctx)
    found = ask(ctx, "select body from raw.communications order by row_number")
    assert found == [(body,) for body in bodies]
    assert batch.n_rejects == 1


def test_blanks_within_quotes_and_quotes_within_texts_are_read_the_fast_way(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text('a,b\n" ", " "\n"say ""yes"" ""no"" ","x"\n"","" \n"a""",b\n')
    head = look_at(path, Dialect(), '"', 1000, header=True)
    assert not may_go_on(path, head)
    path.write_text('a,b\n" "' + " " * 3_000_000 + '" ",x\n')
    assert may_go_on(path, head)


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_id_that_is_no_number_is_missing(
    tmp_path: Path, make_context: Callable[..., Context], file_format: str
) -> None:
    ctx = company(make_context, file_format)
    if file_format == "jsonl":
        put(tmp_path, "calls", '{"id": NaN, "text": "a"}\n{"id": 7.0, "text": "NaN"}\n')
    else:
        (tmp_path / "inbox").mkdir()
        table = pa.table({"id": [float("nan"), 7.0], "text": ["a", "NaN"]})
        pq.write_table(table, tmp_path / "inbox" / "calls")
    bring(ctx)
    found = ask(ctx, "select communication_id, body from raw.communications order by row_number")
    assert found == [(None, "a"), ("7", "NaN")]
