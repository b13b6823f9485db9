"""A home that stays open while batch after batch of generated files is brought and accounted for."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from carelake.landing import manifests
from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.sources.extract import extract_source
from carelake.warehouse.configuration import record_configuration
from carelake.warehouse.connection import open_file
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load_batch
from carelake.warehouse.setup import initialise

SECONDS_PER_CASE = float(os.environ.get("HOSTILE_SECONDS", "2"))
"""No file of a few kilobytes may take longer, load and bookkeeping included; more where a machine
is loaded."""

FORMATS = {
    "csv": "format: csv",
    "gb": "format: csv, encoding: gb18030",
    "utf16": "format: csv, encoding: utf-16",
    "bare": "format: csv, header: false",
    "jsonl": "format: jsonl",
    "json": "format: json, records_path: data.items",
    "xlsx": "format: xlsx",
}
ENTITY = "entity: communications, columns: {communication_id: id, body: text}, max_line_bytes: 3000"
MBOX = "{name: mbox, kind: mbox, path: 'in/mbox/*', max_line_bytes: 3000}"


COUNTED: Counter[str] = Counter()
"""Generated files that were gone through, by kind."""


class Hang(BaseException):
    """Something took longer than its bound; no handler of the product may swallow it."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Fail when what is inside takes longer."""

    def stop(*_: object) -> None:
        raise Hang(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(repr=False)
class Case:
    """One generated file.

    Attributes:
        content: its bytes.
        good: (id, body) of each sound record, None where the generator cannot know.
        n_broken: records that must be rejected.
        places: ordinals of the sound records.
    """

    content: bytes
    good: list[tuple[str | None, str | None]] | None = None
    n_broken: int = 0
    places: list[int] = field(default_factory=list)


@dataclass
class Account:
    """What the warehouse says of one file."""

    physical: int
    raw: int
    rejected: int
    rows: list[tuple[str | None, str | None]]
    places: list[int]
    reasons: list[str]


LINES = (
    "array_to_string(list_sort(list_filter(string_split(concat_ws(chr(10), body_text, quoted_text, "
    "signature_text), chr(10)), lambda line: line <> '')), chr(10))"
)
"""All lines of a mail's text, sorted."""


class Bench:
    """Brings generated files through extract and load, many at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        names = ", ".join(
            f"{{name: {n}, kind: files, path: 'in/{n}/*', {how}, {ENTITY}}}"
            for n, how in FORMATS.items()
        )
        listed = f"sources: [{names}, {MBOX}]".replace(
            "header: false, entity: communications, columns: {communication_id: id, body: text}",
            "header: false, entity: communications, columns: {communication_id: column0, body: column1}",
        )
        (root / "sources.yml").write_text(listed, encoding="utf-8")
        self.ctx = Context(Home(root / "home"), Settings(), SourceList.load(root / "sources.yml"))
        initialise(self.ctx)
        self.con = open_file(self.ctx.home.warehouse, self.ctx.home)
        record_configuration(self.con, self.ctx)

    def close(self) -> None:
        self.con.close()

    def bring(
        self, name: str, files: list[bytes], suffix: str = ""
    ) -> tuple[BatchResult, list[Account]]:
        """Put files into a source's folder, extract and load them as one batch."""
        COUNTED[name] += len(files)
        (source,) = self.ctx.sources.select([name])
        folder, landing = self.root / "in" / name, self.ctx.home.landing / name
        for stale in (folder, landing):
            shutil.rmtree(stale, ignore_errors=True)
        folder.mkdir(parents=True)
        for i, content in enumerate(files):
            (folder / f"{i:04d}{suffix}").write_bytes(content)
        self.con.execute("update ops.sources set csv_dialect = null")
        with bounded(SECONDS_PER_CASE * max(len(files), 5)):
            extracted = extract_source(source, self.root, self.ctx.home.landing)
            assert extracted.n_files == len(files), extracted.message
            (manifest,) = manifests(self.ctx.home.landing, name)
            result = load_batch(self.con, self.ctx, source, manifest)
        return result, self._accounts(name, source.raw_table, len(files), result)

    def _accounts(self, name: str, table: str, n_files: int, result: BatchResult) -> list[Account]:
        where = f"where source_name = '{name}'"
        figures = self._ask(
            f"select n_physical, n_raw, n_rejected from ops.batch_files {where} order by file_name"
        )
        columns = (
            ("communication_id", "body")
            if table == "communications"
            # new text, quoted text and signature lie apart: every line arrives in one of them
            else ("message_id", LINES)
        )
        rows = self._ask(
            f"select file_name, row_number, {columns[0]}, {columns[1]} from raw.{table} {where} order by 1, 2"
        )
        rejects = self._ask(
            f"select file_name, reason from ops.structural_rejects {where} order by 1, row_number"
        )
        assert len(figures) == n_files
        accounts = [Account(*figure, [], [], []) for figure in figures]
        for file, place, *values in rows:
            account = accounts[int(Path(file).name[:4])]
            account.rows.append((values[0], values[1]))
            account.places.append(place)
        for file, reason in rejects:
            accounts[int(Path(file).name[:4])].reasons.append(reason)
        for account in accounts:
            # what the product counted is what really lies in its tables
            assert account.raw == len(account.rows) and account.rejected == len(account.reasons)
            assert account.physical == account.raw + account.rejected
        assert result.n_physical == sum(account.physical for account in accounts)
        return accounts

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()


def assert_accounted(cases: list[Case], accounts: list[Account]) -> None:
    """Every sound record arrived as it was, at its place; every broken one cost itself only."""
    for case, account in zip(cases, accounts, strict=True):
        if case.good is None:
            continue
        same = (account.rows, account.rejected, account.places) == (
            case.good,
            case.n_broken,
            case.places,
        )
        if not same:
            odd = [pair for pair in zip_longest(account.rows, case.good) if pair[0] != pair[1]]
            raise AssertionError(
                f"(found, expected): {odd[:3]}, rejected ({account.rejected}, {case.n_broken}) for "
                f"{account.reasons}, places ({account.places}, {case.places}) in {case.content[:1500]!r}"
            )


def is_held(account: Account) -> bool:
    """Whether nothing of the file was read, and that is said."""
    return account.raw == 0 and account.rejected == 1 and "read" in account.reasons[0]
