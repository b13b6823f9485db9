"""How much of the time is ours when a Salesforce of 100,000 contacts is read, beside a bare client of that server.

    python -m benchmarks.listings [--records 100000] [--page-ms 500]

A server in a process of its own hands out pages of 2,000 contacts as Salesforce does, each after the time
a page takes there; with `--page-ms 0` it answers at once. The bare client turns the same pages with
`requests` and keeps nothing; ours extracts and loads, by the commands' own functions.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 2_000
LIMIT = 0.20
QUERY = "/services/data/v60.0/query"


def contact(number: int) -> dict[str, object]:
    """One contact as a query answers it."""
    ident = f"003A{number:011d}AAA"
    changed = f"2024-05-{1 + number % 28:02d}T10:{number % 60:02d}:00.000+0000"
    return {
        "attributes": {"type": "Contact", "url": f"/services/data/v60.0/sobjects/Contact/{ident}"},
        "Id": ident, "MasterRecordId": None, "AccountId": None, "Name": f"Customer 客户 {number}",
        "Email": f"customer{number}@example.org", "Phone": f"+86138{number:08d}", "MobilePhone": None,
        "MailingCity": "上海", "MailingCountry": "CN", "OwnerId": "005A00000000001AAA",
        "CreatedDate": changed, "IsDeleted": False, "SystemModstamp": changed,
    }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers a login, and the pages of any query."""

    protocol_version = "HTTP/1.1"
    pages: list[bytes]
    page_seconds: float

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Log in."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(b'{"access_token": "00D!benchmark", "token_type": "Bearer"}')

    def do_GET(self) -> None:
        """Hand out a page."""
        parts = urlsplit(self.path)
        place = parts.path.removeprefix(f"{QUERY}/")
        number = int(place) if place.isdigit() else 0
        if "COUNT()" in parse_qs(parts.query).get("q", [""])[0]:
            self._send(b'{"totalSize": 0, "done": true, "records": []}')
            return
        time.sleep(self.page_seconds)
        self._send(self.pages[number])

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(records: int, page_seconds: float, told: Connection) -> None:
    """Serve until the process is ended; tells the port."""
    n_pages = -(-records // PAGE)
    Handler.page_seconds, Handler.pages = page_seconds, []
    for number in range(n_pages):
        found = [contact(n) for n in range(number * PAGE, min((number + 1) * PAGE, records))]
        page: dict[str, object] = {"totalSize": records, "done": True, "records": found}
        if number + 1 < n_pages:
            page |= {"done": False, "nextRecordsUrl": f"{QUERY}/{number + 1}"}
        Handler.pages.append(json.dumps(page, ensure_ascii=False).encode())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def serving(records: int, page_seconds: float) -> Iterator[str]:
    """A server in a process of its own; gives its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(records, page_seconds, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join(30)


def bare(address: str) -> int:
    """Turn all pages and keep nothing; gives how many records there were."""
    import requests

    found, place = 0, f"{QUERY}?q=SELECT"
    with requests.Session() as session:
        while place:
            page = session.get(address + place, timeout=60).json()
            found += len(page["records"])
            place = page.get("nextRecordsUrl")
    return found


def extract_and_load(address: str, folder: Path) -> tuple[int, float]:
    """Read the same pages into the landing zone and the raw table; gives rows, and seconds of the load."""
    from carelake.settings import Context, Home, Settings
    from carelake.source_list import SourceList
    from carelake.sources.extract import extract_source
    from carelake.warehouse.load import load
    from carelake.warehouse.setup import initialise

    (folder / "sources.yml").write_text(
        "sources: [{name: sf, kind: salesforce, connection: sf, salesforce: {objects: [contacts]}}]\n"
    )
    secrets = {"conn_type": "http", "host": address, "login": "client", "password": "secret"}
    os.environ |= {"AIRFLOW_CONN_SF": json.dumps(secrets), "CARELAKE_PEPPER": "p"}
    ctx = Context(Home(folder / "home"), Settings(), SourceList.load(folder / "sources.yml"))
    initialise(ctx)
    (source,) = ctx.sources.sources
    done = extract_source(
        source, ctx.config_dir, ctx.home.landing, secrets=ctx.home.renewed_secrets
    )
    assert done.outcome == "extracted", done
    began = time.perf_counter()
    (result,) = load(ctx)
    assert result.held_reason is None, result
    return result.n_raw, time.perf_counter() - began


def main() -> None:
    """Read by both, and tell our share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listings", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--page-ms", type=int, default=500, help="what a page takes the server")
    given = parser.parse_args()
    for module in ("carelake.sources.rest", "carelake.warehouse.load"):
        importlib.import_module(module)  # is not what is measured

    with (
        serving(given.records, given.page_ms / 1000) as address,
        tempfile.TemporaryDirectory() as folder,
    ):
        began = time.perf_counter()
        n_bare = bare(address)
        theirs = time.perf_counter() - began
        began = time.perf_counter()
        cpu = time.process_time()
        n_ours, loading = extract_and_load(address, Path(folder))
        ours, busy = time.perf_counter() - began, time.process_time() - cpu
    assert n_bare == n_ours == given.records, (n_bare, n_ours)
    share = (ours - theirs) / ours
    print(
        f"{given.records:,} contacts: ours {ours:.1f} s (load {loading:.1f} s, processor {busy:.1f} s), "
        f"a bare client {theirs:.1f} s; our share {share:.0%}, "
        f"limit {LIMIT:.0%}: {'kept' if share < LIMIT else 'not kept'}"
    )


if __name__ == "__main__":
    main()
