from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.source_list import SourceList
from carelake.sources.batches import ExtractResult
from carelake.sources.extract import extract_source
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load

SOURCES = """
    sources:
      - {{name: calls, kind: files, path: "{path}", format: csv, entity: communications,
         columns: {{communication_id: id, body: text}}}}
"""
NAMES = [
    b"'; drop table ops.ledger; --.csv",
    b'".csv',
    b"new\nline.csv",
    b"back\\slash.csv",
    b"*.csv",
    b"?[a-z]{x,y}.csv",
    b"-rf.csv",
    b"%s%n%00.csv",
    b"$(touch x)`id`.csv",
    b"x" * 240 + b".csv",
    b"\xff\xfe\xb9.csv",
    b"\\xff\\xfe\\xb9.csv",
    "🙂\u202egnp.csv".encode(),
    "退款.csv".encode("gb18030"),
    b"..csv",
    b" .csv",
]


def make(make_context: Callable[..., Context], path: str = "in/*") -> Context:
    return make_context(SOURCES.format(path=path))


def bring(ctx: Context) -> tuple[ExtractResult, list[BatchResult]]:
    (source,) = ctx.sources.sources
    return extract_source(source, ctx.config_dir, ctx.home.landing), load(ctx)


def ids(ctx: Context) -> list[str]:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        rows = con.execute("select communication_id from raw.communications order by 1").fetchall()
    return [row[0] for row in rows]


def test_a_file_may_have_any_name_a_disk_can_hold(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make(make_context)
    (tmp_path / "in").mkdir()
    for i, name in enumerate(NAMES):
        Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).write_text(
            f"id,text\n{i:02d},x\n"
        )
    extracted, (batch,) = bring(ctx)
    assert (extracted.outcome, extracted.n_files) == ("extracted", len(NAMES))
    assert batch.held_reason is None
    assert ids(ctx) == [f"{i:02d}" for i in range(len(NAMES))]
    landed = [path.name for path in (ctx.home.landing / "calls" / "calls-000001").iterdir()]
    assert all(name.isascii() and "/" not in name and not name.startswith("-") for name in landed)
    # nothing is taken twice: the odd names are remembered as they are
    assert bring(ctx)[0].outcome == "nothing_new"


def test_a_home_may_lie_in_a_folder_full_of_signs(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make_context(SOURCES.format(path="in/*"), home="we[ird] *{a,b}';-- home")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.csv").write_text("id,text\n1,x\n2\n")
    _, (batch,) = bring(ctx)
    assert (batch.n_raw, batch.n_rejects, batch.held_reason) == (1, 1, None)


def test_a_home_whose_path_the_database_cannot_take_is_refused(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    with pytest.raises(ConfigError, match=r"without '\?'"):
        make_context(SOURCES.format(path="in/*"), home="what?")


def test_links_within_the_folder_are_followed_and_links_out_of_it_refused(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make(make_context, "in/**/*.csv")
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("id,text\nsecret,x\n")
    (tmp_path / "in/sub/real.txt").write_text("id,text\nlinked,x\n")
    (tmp_path / "in/plain.csv").write_text("id,text\nplain,x\n")
    (tmp_path / "in/good.csv").symlink_to("sub/real.txt")
    (tmp_path / "in/evil.csv").symlink_to("../secret.csv")
    (tmp_path / "in/loop.csv").symlink_to("loop.csv")
    (tmp_path / "in/dangling.csv").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in/pipe.csv")
    extracted, _ = bring(ctx)
    assert ids(ctx) == ["linked", "plain"]
    assert extracted.outcome == "failed"
    assert "evil.csv: is a link out of" in extracted.message and "secret" not in extracted.message


def test_a_folder_that_is_itself_a_link_is_taken(
    tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    ctx = make(make_context)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1.csv").write_text("id,text\n1,x\n")
    (tmp_path / "in").symlink_to("elsewhere")
    assert bring(ctx)[0].outcome == "extracted"
    assert ids(ctx) == ["1"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("name", "../evil", "snake_case"),
        ("name", "a'; drop table raw.calls; --", "snake_case"),
        ("name", "a\n", "snake_case"),
        ("name", "x" * 100, "snake_case"),
        ("path", "in/a**b", "stands alone"),
        ("path", "", "path is missing"),
        ("path", "in/\0", "names no file"),
        ("path", "/", "names no file"),
        ("encoding", "zlib", "no text encoding"),
        ("encoding", "punycode", "no text encoding"),
        ("encoding", "a\0b", "no text encoding"),
        ("delimiter", "||", "one visible character"),
        ("delimiter", "\n", "one visible character"),
        ("quote", "''", "one visible character"),
    ],
)
def test_settings_that_would_break_a_load_are_refused_before_it(
    tmp_path: Path, key: str, value: str, said: str
) -> None:
    source = {
        "name": "calls",
        "kind": "files",
        "path": "in/*",
        "format": "csv",
        "entity": "orders",
        "columns": {"order_id": "id"},
    }
    path = tmp_path / "sources.yml"
    path.write_text(json.dumps({"sources": [{**source, key: value}]}))
    with pytest.raises(ConfigError, match=said) as error:
        SourceList.load(path)
    assert key in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("path", ["in/[", "**", "in/***", "./", "a/..", "in/[!]*"])
def test_a_pattern_that_is_none_is_a_message_and_not_a_crash(
    tmp_path: Path, make_context: Callable[..., Context], path: str
) -> None:
    try:
        ctx = make(make_context, path)
    except ConfigError:
        return
    (source,) = ctx.sources.sources
    found = extract_source(source, ctx.config_dir, ctx.home.landing)
    assert found.outcome in ("failed", "extracted", "nothing_new") and found.message


NAMES_OF_COLUMNS = ["rowid", "__row", "__physical", "__content", "__json", "c0", "c1", "row_number", "extra", "batch_id", "x'); drop table raw.communications; --", 'q"q', "select", "*", "a.b", "\u202e", "🙂", "file_row_number"]  # fmt: skip


@pytest.mark.parametrize("how", ["csv", "careful csv", "jsonl", "json", "parquet"])
def test_columns_of_any_name_are_kept_beside_the_mapped_ones(
    tmp_path: Path, make_context: Callable[..., Context], how: str
) -> None:
    file_format = how.split()[-1]
    ctx = make_context(SOURCES.format(path="in/*").replace("format: csv", f"format: {file_format}"))
    (tmp_path / "in").mkdir()
    path = tmp_path / f"in/1.{file_format}"
    names = [
        name for name in NAMES_OF_COLUMNS if file_format != "parquet" or name != "file_row_number"
    ]
    values = {"id": "7", "text": "body", **{name: f"v{i}" for i, name in enumerate(names)}}
    if file_format == "csv":
        head = ",".join('"' + name.replace('"', '""') + '"' for name in values)
        path.write_text(
            f"{head}\n{','.join(values.values())}\n"
            + ("broken\n" if how.startswith("careful") else ""),
            encoding="utf-8",
        )
    elif file_format == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: [value] for name, value in values.items()}), path)
    else:
        path.write_text(
            json.dumps(values if file_format == "jsonl" else [values], ensure_ascii=False),
            encoding="utf-8",
        )
    _, (batch,) = bring(ctx)
    assert batch.held_reason is None
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        (row,) = con.execute(
            "select communication_id, body, row_number, extra::varchar from raw.communications"
        ).fetchall()
    assert row[:3] == ("7", "body", 1)
    assert json.loads(row[3]) == {name: values[name] for name in names}
