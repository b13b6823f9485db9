"""One side of a comparison, in a process of its own: prints seconds and peak memory as JSON."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MARTS = (
    "fct_communications", "fct_orders", "fct_survey_responses", "fct_conversations",
    "agg_channel_daily", "fct_conversation_metrics", "agg_service_daily", "agg_backlog_daily",
    "conversation_needs", "agg_need_contacts", "customer_satisfaction_index_weekly",
)  # fmt: skip
HAND_WRITTEN = ("hand_written.sql", "hand_written_service.sql")


def ours(root: str, folder: str, memory: str = "") -> dict[str, Any]:
    """Files to marts, then publishing; the home is made, or goes on with what is new."""
    from benchmarks.measure import open_home
    from carelake import pipeline
    from carelake.progress import Progress
    from carelake.sources.extract import extract_source
    from carelake.warehouse.setup import initialise

    ctx = open_home(Path(root), Path(folder), memory or None)
    if not ctx.home.is_initialised():
        initialise(ctx)
    quiet = Progress(quiet=True)
    seconds: dict[str, float] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - began

    step("extract", lambda: [
        extract_source(source, ctx.config_dir, ctx.home.landing) for source in ctx.sources.sources
    ])  # fmt: skip
    for name in ("load", "check_batches", "build_features", "build_marts"):
        step(name, lambda name=name: pipeline.perform(ctx, name, quiet))  # type: ignore[misc]
    to_marts = sum(seconds.values())
    step("publish", lambda: pipeline.perform(ctx, "publish", quiet))
    return {"to_marts": to_marts, "steps": seconds, "marts": _marts(ctx)}


def _marts(ctx: Any) -> dict[str, Any]:
    from carelake.warehouse.connection import connect
    from carelake.warehouse.fingerprint import relation_fingerprint

    with connect(ctx.home) as con:
        return {mart: relation_fingerprint(con, f"marts.{mart}") for mart in MARTS}


def hand_written(root: str, folder: str) -> dict[str, Any]:
    """The script by hand on the same files, with the pepper and the list of needs of our home."""
    import duckdb

    from carelake.warehouse.connection import literal, quote
    from carelake.warehouse.dbt_plugin import NEED_PATTERN
    from carelake.warehouse.fingerprint import relation_fingerprint

    pepper = (Path(root) / "pepper").read_text(encoding="utf-8").strip()
    path = Path(root) / "hand_written.duckdb"
    path.unlink(missing_ok=True)
    parts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in HAND_WRITTEN]
    script = "".join(parts).replace("$folder", f"{folder}/bulk")
    warehouse = literal(f"{root}/warehouse.duckdb")
    with duckdb.connect(str(path), config={"threads": 2}) as con:
        con.execute(f"set TimeZone = 'UTC'; set variable pepper = '{quote(pepper)}'")
        con.execute(f"""
            attach {warehouse} as ours (read_only);
            create table needs as from ours.ops.needs;
            create table need_rules as from ours.ops.need_rules;
            detach ours;
        """)
        con.execute(NEED_PATTERN.replace("ops.", ""))
        began = time.perf_counter()
        con.execute(script)
        con.execute("checkpoint")
        seconds = time.perf_counter() - began
        marts = {mart: relation_fingerprint(con, mart) for mart in MARTS}
    path.unlink()
    return {"to_marts": seconds, "marts": marts}


def pandas_recipe(folder: str) -> dict[str, Any]:
    """The owner's recipe for the messages alone: read, drop duplicates and gaps, types, normalise, sum up."""
    import pandas as pd

    began = time.perf_counter()
    parts = [pd.read_csv(path) for path in sorted(Path(folder, "bulk").glob("messages-*.csv"))]
    parts += [
        pd.read_json(path, lines=True).rename(
            columns={"post_id": "message_id", "thread_id": "conversation_id"}
        )
        for path in sorted(Path(folder, "bulk").glob("posts-*.jsonl"))
    ]
    messages = pd.concat(parts, ignore_index=True).drop_duplicates()
    messages["sent_at"] = pd.to_datetime(messages["sent_at"], errors="coerce")
    messages = messages.dropna(subset=["message_id", "sent_at"])
    messages["body"] = messages["body"].str.strip()
    length = messages["body"].str.len()
    messages["length"] = (length - length.min()) / (length.max() - length.min())
    messages.groupby("conversation_id").agg(
        opened_at=("sent_at", "min"), n=("message_id", "count"), length=("length", "mean")
    )
    return {"to_marts": time.perf_counter() - began}


def dlt_load(scratch: str, folder: str, n_rows: str) -> dict[str, Any]:
    """dlt loading the first rows of the messages into DuckDB, merged by key, normalised by itself."""
    os.environ.update(DLT_DATA_DIR=scratch, RUNTIME__DLTHUB_TELEMETRY="false")
    import csv
    from itertools import islice

    import dlt

    def rows() -> Any:
        with Path(folder, "bulk", "messages-0001.csv").open(encoding="utf-8", newline="") as file:
            yield from islice(csv.DictReader(file), int(n_rows))

    pipeline = dlt.pipeline(
        "bench", pipelines_dir=scratch, dataset_name="raw",
        destination=dlt.destinations.duckdb(f"{scratch}/dlt.duckdb"),
    )  # fmt: skip
    began = time.perf_counter()
    pipeline.run(
        dlt.resource(rows, name="messages", primary_key="message_id", write_disposition="merge")
    )
    return {"to_marts": time.perf_counter() - began}


def load_source(root: str, folder: str, name: str) -> dict[str, Any]:
    """One source of the bulk sample from landing into raw, as `carelake load` does it."""
    from benchmarks.measure import open_home
    from carelake.settings import Context
    from carelake.source_list import SourceList
    from carelake.sources.extract import extract_source
    from carelake.warehouse.load import load
    from carelake.warehouse.setup import initialise

    shutil.rmtree(root, ignore_errors=True)
    whole = open_home(Path(root), Path(folder))
    (source,) = whole.sources.select([name])
    ctx = Context(
        whole.home, whole.settings, SourceList(sources=[source], path=whole.sources.path), "bench"
    )
    initialise(ctx)
    extract_source(source, ctx.config_dir, ctx.home.landing)
    began = time.perf_counter()
    (batch,) = load(ctx)
    seconds = time.perf_counter() - began
    shutil.rmtree(root)
    return {"seconds": seconds, "rows": batch.n_raw}


def bare_load(root: str, folder: str, name: str) -> dict[str, Any]:
    """The same files by a bare `create table as select`."""
    import duckdb

    files = {
        "bulk_messages": f"read_csv('{folder}/bulk/messages-*.csv', all_varchar = true)",
        "bulk_posts": f"read_json('{folder}/bulk/posts-*.jsonl', format = 'newline_delimited')",
    }[name]
    path = Path(root + ".duckdb")
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path), config={"threads": 2}) as con:
        began = time.perf_counter()
        con.execute(f"create table t as select * from {files}")
        con.execute("checkpoint")
        seconds = time.perf_counter() - began
    path.unlink()
    return {"seconds": seconds}


def extract_table(scratch: str, kind: str) -> dict[str, Any]:
    """The table `tickets` into a landing zone, sealed with its manifest."""
    from carelake.landing import manifests
    from carelake.source import Source
    from carelake.sources.database import extract

    folder = Path(scratch) / f"landing-{kind}"
    source = Source.model_validate(
        {"name": "tickets", "kind": kind, "connection": "bench", "entity": "communications",
         "columns": {"communication_id": "id", "body": "body"},
         "database": {"table": "tickets", "incremental": {"column": "updated_at"}}}
    )  # fmt: skip
    began = time.perf_counter()
    result = extract(source, folder, folder)
    seconds = time.perf_counter() - began
    if result.outcome != "extracted":
        raise RuntimeError(result.message)
    rows = manifests(folder)[0].details["records"]
    shutil.rmtree(folder)
    return {"seconds": seconds, "rows": rows}


def bare_scan(scratch: str, kind: str) -> dict[str, Any]:
    """The same table as one would type it: attach, copy to Parquet."""
    import duckdb

    from carelake.extensions import load_extension
    from carelake.sources.connections import find_connection
    from carelake.sql_text import literal

    path, server = Path(scratch) / f"{kind}.parquet", find_connection("bench")
    with duckdb.connect(config={"threads": 2}) as con:
        load_extension(con, f"{kind}_scanner")
        con.execute(
            f"create temporary secret bench (type {kind}, host {literal(server.host)}, port {server.port}, "
            f"user {literal(server.login)}, password {literal(server.password)}, "
            f"database {literal(server.database)})"
        )
        con.execute(f"attach '' as bench (type {kind}, secret bench, read_only)")
        began = time.perf_counter()
        con.execute(f"copy (from bench.tickets) to {literal(str(path))} (format parquet)")
        seconds = time.perf_counter() - began
        (rows,) = con.execute(f"select count(*) from {literal(str(path))}").fetchone() or (0,)
    path.unlink()
    return {"seconds": seconds, "rows": rows}


def mails_ours(root: str, folder: str) -> dict[str, Any]:
    """A folder of mails into raw: extract, then load, in a new home."""
    from benchmarks.measure import open_home
    from carelake.settings import Context
    from carelake.source import Source
    from carelake.source_list import SourceList
    from carelake.sources.extract import extract_source
    from carelake.warehouse.load import load
    from carelake.warehouse.setup import initialise

    shutil.rmtree(root, ignore_errors=True)
    source = Source.model_validate({"name": "mails", "kind": "eml", "path": f"{folder}/*.eml"})
    (Path(root).parent / "sources.yml").write_text("sources: []\n", encoding="utf-8")
    whole = open_home(Path(root), Path(root).parent)
    sources = SourceList(sources=[source], path=whole.sources.path)
    ctx = Context(whole.home, whole.settings, sources, "bench")
    initialise(ctx)
    began = time.perf_counter()
    extract_source(source, ctx.config_dir, ctx.home.landing)
    extracted = time.perf_counter() - began
    (batch,) = load(ctx)
    seconds = time.perf_counter() - began
    shutil.rmtree(root)
    return {"seconds": seconds, "extract": extracted, "rows": batch.n_raw}


def mails_peer(folder: str) -> dict[str, Any]:
    """The same mails by the standard library's parser: one core, and nothing is kept."""
    import email
    import email.policy

    began = time.perf_counter()
    faults = 0
    for path in sorted(Path(folder).glob("*.eml")):
        try:
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = mail.get_body(("plain", "html"))
            if body is not None:
                body.get_content()
        except Exception:
            faults += 1
    return {"seconds": time.perf_counter() - began, "faults": faults}


def main() -> None:
    """`python benchmarks/sides.py NAME ARGUMENTS...`."""
    found = globals()[sys.argv[1]](*sys.argv[2:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({**found, "peak_gb": round(peak, 2)}))


if __name__ == "__main__":
    main()
