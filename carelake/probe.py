"""`carelake source test`: read the beginning of a source into a home that is thrown away."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carelake.settings import Context, Home
from carelake.source import Source

SHOWN_FILES = 5
HIDDEN = frozenset({"batch_id", "batch_seq", "extracted_at", "source_name"})


@dataclass
class Probe:
    """What a source would bring.

    Attributes:
        trouble: why it cannot be read; None when it can.
        files: names of the first files, where it has files.
        records: the first records as they would land; a column without a value is left out.
    """

    message: str = ""
    trouble: str | None = None
    files: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


def probe(ctx: Context, source: Source, limit: int) -> Probe:
    """Read the first file or page of a source with the code that extract and load use.

    Args:
        limit: records to give.
    """
    from carelake.sources.extract import extract_source
    from carelake.warehouse.load import load
    from carelake.warehouse.setup import initialise

    with tempfile.TemporaryDirectory(prefix="carelake-test-") as folder:
        home = Home(Path(folder) / "home")
        there = dataclasses.replace(ctx, home=home)
        home.landing.mkdir(parents=True)
        found = extract_source(
            source, ctx.config_dir, home.landing, is_probe=True, secrets=ctx.home.renewed_secrets
        )
        if found.outcome == "failed":
            return Probe(trouble=found.message)
        result = Probe(message=found.message, files=_files(ctx, source))
        result.message += _total(ctx, source)
        if found.batches:
            initialise(there)
            loaded = load(there, [source.name])[0]
            if loaded.held_reason:
                return Probe(trouble=loaded.held_reason)
            result.message += f"; {loaded.n_raw:,} rows, {loaded.n_rejects:,} rejects"
            if loaded.missing:
                result.message += f"; not there: {', '.join(loaded.missing)}"
            result.records = _records(there, source, limit)
        return result


def _total(ctx: Context, source: Source) -> str:
    """How many records there are altogether, where the source can say."""
    from carelake.sources.counting import counter
    from carelake.sources.patience import Passing, Refused
    from carelake.sources.renewed_secrets import kept_in

    count = counter(source)
    if count is None:
        return ""
    try:
        with kept_in(ctx.home.renewed_secrets):
            counted = count(source, ctx.config_dir)
    except (Passing, Refused) as error:
        return f"; could not be counted: {error}"
    return f" of {counted.n_theirs:,} ({counted.scope})" if counted else ""


def _files(ctx: Context, source: Source) -> list[str]:
    if not source.has_local_files:
        return []
    from carelake.sources.files import find_files

    names = [name for name, _ in find_files(source, ctx.config_dir)]
    more = [f"and {len(names) - SHOWN_FILES:,} more"] if len(names) > SHOWN_FILES else []
    return names[:SHOWN_FILES] + more


def _records(ctx: Context, source: Source, limit: int) -> list[dict[str, Any]]:
    from carelake.warehouse.connection import connect

    with connect(ctx.home) as con:
        found = con.execute(
            f"from raw.{source.raw_table} order by file_name, row_number limit {limit:d}"
        )
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [
        {name: value for name, value in row.items() if value is not None and name not in HIDDEN}
        for row in rows
    ]
