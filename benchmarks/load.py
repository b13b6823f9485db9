"""Load with quarantine, ledger and row positions, beside a bare `create table as select`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import duckdb

from carelake.settings import Context, Home, Settings, prepare_environment
from carelake.source_list import SourceList
from carelake.warehouse.load import load
from carelake.warehouse.setup import initialise

PEERS = {
    "bulk_messages": "create table t as select * from read_csv('{files}', all_varchar = true)",
    "bulk_posts": "create table t as select * from read_json('{files}', format = 'newline_delimited')",
}
LIMIT = 2.2


def measure(company: Path, scratch: Path, tries: int) -> list[dict[str, object]]:
    """One row per format: seconds of ours and of the peer, best of `tries`, taken in turns."""
    from carelake.sources.extract import extract_source

    results: list[dict[str, object]] = []
    sources = SourceList.load(company / "sources.yml")
    for source in sources.sources:
        if source.name not in PEERS:
            continue
        ours: list[float] = []
        peer: list[float] = []
        rows = 0
        for number in range(tries):
            home = Home(scratch / f"home-{source.name}-{number}")
            prepare_environment(home)
            ctx = Context(home, Settings(), SourceList(sources=[source], path=sources.path))
            initialise(ctx)
            extract_source(source, ctx.config_dir, home.landing)
            began = time.perf_counter()
            (batch,) = load(ctx)
            ours.append(time.perf_counter() - began)
            rows = batch.n_raw
            peer.append(_bare(PEERS[source.name].format(files=company / source.path), scratch))
            shutil.rmtree(home.root)
        ratio = min(ours) / min(peer)
        results.append(
            {
                "name": f"load {source.format}, {rows:,} rows, with quarantine and row position",
                "ours": round(min(ours), 3),
                "peer": round(min(peer), 3),
                "peer_name": "DuckDB create table as select, without row position or rejects",
                "ratio": round(ratio, 2),
                "limit": LIMIT,
                "ok": ratio <= LIMIT,
            }
        )
    return results


def _bare(statement: str, scratch: Path) -> float:
    path = scratch / "bare.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path), config={"threads": 2}) as con:
        began = time.perf_counter()
        con.execute(statement)
        con.execute("checkpoint")
        return time.perf_counter() - began
