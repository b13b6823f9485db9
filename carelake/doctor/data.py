"""What was landed, loaded and published, whether it is whole, and how old."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb

from carelake.doctor.findings import Finding, Patient, fail, listed, ok, warn
from carelake.errors import CarelakeError
from carelake.landing import MANIFEST, DamagedManifest, Manifest, manifests
from carelake.settings import Home
from carelake.warehouse.banner import holds_back, read_banner
from carelake.warehouse.connection import first_line, lock_state, open_file, write_lock
from carelake.warehouse.freshness import arrivals, in_words
from carelake.warehouse.freshness import freshness as judge_all
from carelake.warehouse.publish import current_version, hold_reason, publication

FUTURE = dt.timedelta(minutes=5)
"""So far the clocks of two machines may be apart."""


def warehouse(patient: Patient) -> Iterator[Finding]:
    """Whether the warehouse opens and holds its ledger; left alone while a writer has it."""
    here = patient.home
    if not here.is_initialised() or lock_state(here).is_held:
        return
    try:
        with write_lock(here, "doctor", wait_seconds=0):
            con = open_file(here.warehouse, here, read_only=True)
            try:
                row = con.execute("select count(*), count(*) filter (n_raw > 0) from ops.ledger")
                n_batches, _ = row.fetchone() or (0, 0)
            finally:
                con.close()
    except CarelakeError as error:
        yield fail("warehouse", str(error), "see what holds it above; else restore a backup")
    except duckdb.Error as error:
        yield fail(
            "warehouse",
            f"{here.warehouse}: {first_line(error)}",
            "restore a backup, or build it anew from the landing zone in a new home",
        )
    else:
        yield ok("warehouse", f"opens, {n_batches:,} batches in its ledger")


def landing(patient: Patient) -> Iterator[Finding]:
    """Whether each batch has its manifest, and its files their size; no file is read."""
    root = patient.home.landing
    folders = [path for path in sorted(root.glob("*/*/")) if path.parent != root]
    if not folders:
        yield ok("landing", "nothing was extracted yet")
        return
    try:
        found = manifests(root)
    except DamagedManifest as error:
        yield fail("landing", str(error).split("; ")[0], "put it back from a backup; runs go on")
        return
    whole = {manifest.folder(root) for manifest in found}
    newest = {manifest.source: manifest.batch_id for manifest in found}
    for folder in folders:
        if folder in whole:
            continue
        if folder.name > newest.get(folder.parent.name, ""):
            yield warn(
                "landing",
                f"{folder} has no {MANIFEST}: its extract was killed, or is under way",
                f"carelake extract {folder.parent.name} writes it anew",
            )
        else:
            yield fail("landing", f"{folder} has lost its {MANIFEST}", "put it back from a backup")
    damaged = [what for manifest in found for what in _damage(manifest, root)]
    if damaged:
        yield fail(
            "landing",
            listed(damaged),
            "put it back from a backup; or take it as it is: carelake quarantine replay BATCH",
        )
    elif len(whole) == len(folders):
        yield ok("landing", f"{len(found):,} batches, each with its manifest and its files")


def _damage(manifest: Manifest, root: Path) -> Iterator[str]:
    for file in manifest.files:
        path = manifest.folder(root) / file.landed
        if not path.is_file():
            yield f"{path} is gone"
        elif (n_bytes := path.stat().st_size) != file.n_bytes:
            yield f"{path} has {n_bytes:,} bytes where {file.n_bytes:,} were extracted"


def published(patient: Patient) -> Iterator[Finding]:
    """Whether the current version opens as a reader would open it."""
    here = patient.home
    link = here.published / "current"
    if not link.is_symlink():
        yield warn("published", "nothing is published yet", "carelake run")
        return
    marts = link / "marts.duckdb"
    try:
        version = current_version(here)
        with duckdb.connect(str(marts.resolve()), read_only=True) as con:
            n_marts = len(con.execute("from duckdb_views() where not internal").fetchall())
        yield ok("published", f"version {version} opens, {n_marts} marts")
    except (OSError, ValueError, duckdb.Error) as error:
        yield fail(
            "published",
            f"{marts}: {first_line(error)}",
            "carelake rollback, then carelake publish --release after the next good run",
        )


def holds(patient: Patient) -> Iterator[Finding]:
    """What keeps newer data from readers: a rollback, a gate, a failed run, held batches."""
    here = patient.home
    if held := hold_reason(here):
        yield warn("holds", f"publishing is held: {held}", "carelake publish --release")
    if blocked := _state(here, "publish_blocked"):
        yield fail(
            "holds",
            f"a gate stops publishing: {blocked}",
            "mend what it names (carelake status), then carelake run",
        )
    elif holds_back(here):
        yield fail("holds", f"readers are told: {read_banner(here)}", "carelake status says why")
    batches = _ask(here, "select batch_id from ledger where status = 'held' order by 1")
    if batches:
        names = listed([str(row[0]) for row in batches])
        yield warn(
            "holds",
            f"{len(batches)} batches are held: {names}",
            "carelake status says why; then carelake batch release BATCH, or discard",
        )
    if not (held or blocked or holds_back(here) or batches):
        yield ok("holds", "nothing keeps new data from readers")


def freshness(patient: Patient) -> Iterator[Finding]:
    """Each watched source against its limits."""
    if patient.ctx is None:
        return
    watched = [one for one in judge_all(patient.ctx, patient.now) if one.state != "unwatched"]
    for one in watched:
        say = {"block": fail, "warn": warn}.get(one.state)
        if say:
            yield say(
                "freshness",
                f"{one.source} {one.message}",
                "see whether it still exports to its `path`; carelake extract " + one.source,
            )
    if watched and all(one.state == "fresh" for one in watched):
        yield ok("freshness", f"{len(watched)} watched sources are fresh")
    if not watched and patient.ctx.sources.sources:
        yield ok("freshness", "no source is watched (`freshness:` in sources.yml)")


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether this machine's clock fits what was written down, and `as_of` lies not ahead of it."""
    here, now = patient.home, patient.now
    newest = max(arrivals(here).values(), default=None)
    ran = [row[0] for row in _ask(here, "select max(started_at) from steps")]
    moments = [moment for moment in (newest, *ran) if isinstance(moment, dt.datetime)]
    ahead = max(moments, default=now) - now
    if ahead > FUTURE:
        yield fail(
            "clock",
            f"the last run was {in_words(int(ahead.total_seconds()))} from now: the clock was set back",
            "set the clock (NTP); `as_of` and freshness are counted by it",
        )
        return
    current = current_version(here)
    said = None if current is None else publication(here, current).get("as_of")
    as_of = dt.datetime.fromisoformat(said) if said else None
    if as_of is not None and as_of - now > dt.timedelta(days=1):
        yield warn(
            "clock",
            f"the marts are as of {as_of:%Y-%m-%d %H:%M} UTC, which is yet to come",
            "see `timestamps` and `timezone` in sources.yml, then carelake quarantine replay BATCH",
        )
        return
    age = "" if as_of is None else f"; the marts are as of {as_of:%Y-%m-%d %H:%M} UTC"
    yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC{age}")


def _state(here: Home, key: str) -> str:
    rows = _ask(here, f"select value from state where key = '{key}'")
    return str(rows[0][0]) if rows else ""


def _ask(here: Home, query: str) -> list[tuple[object, ...]]:
    """Rows of `ops.duckdb`, none before the first run."""
    if not here.ops.exists():
        return []
    with duckdb.connect(str(here.ops), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(query).fetchall()


def decided_models(here: Home) -> list[str]:
    """Names of the models a decision promoted in this home."""
    names = set()
    for path in here.decisions.glob("*.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        if row.get("decision") == "promoted":
            names.add(str(row["model_name"]))
    return sorted(names)
