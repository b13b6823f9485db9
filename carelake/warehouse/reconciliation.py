"""Hold what a source says it has against what we have of it, and explain the difference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from carelake.settings import Context
from carelake.source import Source
from carelake.warehouse.connection import insert_rows, literal

TABLE = "ops.source_reconciliation"


@dataclass(frozen=True)
class Reconciled:
    """One count beside our records of that moment.

    Attributes:
        n_ours: records whose newest sound version is no deletion.
        n_quarantined: records without a sound version, and those that have no shape.
        n_held: records that only a held batch has.
        n_expired: records that retention removed or leaves out.
    """

    source_name: str
    counted_at: str
    batch_id: str
    scope: str
    n_theirs: int
    n_ours: int
    n_deleted: int
    n_quarantined: int
    n_held: int
    n_expired: int

    @property
    def n_unexplained(self) -> int:
        """Records of theirs that we should have; below zero: of ours that they no longer have."""
        missing = self.n_theirs - self.n_ours
        set_aside = self.n_quarantined + self.n_held + self.n_expired
        return min(missing, 0) or max(0, missing - set_aside)

    @property
    def explanation(self) -> str:
        """One line for a person."""
        if self.n_theirs == self.n_ours:
            return "equal"
        parts = [
            (self.n_quarantined, "in the quarantine"),
            (self.n_held, "in held batches"),
            (self.n_expired, "older than retention keeps"),
        ]
        said = [
            f"{count:,} {what}" for count, what in parts if count and self.n_theirs > self.n_ours
        ]
        if self.n_unexplained > 0:
            said.append(
                f"{self.n_unexplained:,} we never got: read them with `carelake extract "
                f"{self.source_name} --since TIME`"
            )
        if self.n_unexplained < 0:
            said.append(
                f"{-self.n_unexplained:,} are gone there; `mode: snapshot`, or a column for "
                "is_deleted, would tell us which"
            )
        return "; ".join(said)


def reconcile(con: duckdb.DuckDBPyConnection, ctx: Context) -> list[Reconciled]:
    """Compare every count that was not compared yet, and keep the result.

    A count whose batch is not typed yet waits for the build that does.
    """
    done = []
    for source in ctx.sources.sources:
        path = ctx.home.counts / f"{source.name}.json"
        if path.exists():
            count = json.loads(path.read_text(encoding="utf-8"))
            if _is_new(con, count):
                done.append(_compare(con, source, count))
    rows = [
        {**vars(one), "n_unexplained": one.n_unexplained, "explanation": one.explanation}
        for one in done
    ]
    insert_rows(con, TABLE, rows, "on conflict do nothing")
    return done


def _is_new(con: duckdb.DuckDBPyConnection, count: dict[str, Any]) -> bool:
    batch, name = literal(count["batch_id"]), literal(count["source"])
    row = con.execute(
        f"""
        select
            exists (from ops.ledger where batch_id = {batch} and status <> 'arrived')
            and not exists (
                from {TABLE} where source_name = {name} and counted_at = {literal(count["at"])}::timestamptz
            )
        """
    ).fetchone()
    return bool(row and row[0])


def _compare(con: duckdb.DuckDBPyConnection, source: Source, count: dict[str, Any]) -> Reconciled:
    query = (Path(__file__).with_name("reconciliation.sql")).read_text(encoding="utf-8")
    # what was merged into another record is none of theirs any more
    is_gone = "typed.is_deleted"
    if source.entity == "customers":
        is_gone = "(typed.is_deleted or typed.merged_into is not null)"
    row = con.execute(
        query.replace("$is_gone", is_gone)
        .replace("$typed", f"staging.stg_{source.raw_table}__typed")
        .replace("$id", source.id_column)
        .replace("$source", literal(source.name))
        .replace("$batch", literal(count["batch_id"]))
        .replace("$is_snapshot", str(source.mode == "snapshot").lower())
    ).fetchone()
    ours, deleted, quarantined, held, expired = row or (0,) * 5
    return Reconciled(
        source.name, count["at"], count["batch_id"], count["scope"], count["n_theirs"],
        ours, deleted, quarantined, held, expired,
    )  # fmt: skip
