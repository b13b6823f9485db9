"""The banner: what the published marts say of themselves while newer data is held back.

A published file never changes. So a banner comes as a version of its own: the same data files
under another name, and a copy of the marts whose `meta.publication` has the text. The next good
publication has none.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from carelake.settings import Context, Home
from carelake.warehouse.connection import literal, now_utc, write_lock
from carelake.warehouse.publish import (
    current_version,
    forget_old,
    hold_reason,
    point_to,
    publication,
    seal,
    versions,
)

QUIET = "quiet"
"""Kind of a banner that says a source is silent: the marts are as new as they can be."""
COPIED = frozenset({"marts.duckdb", "publication.json"})
"""Files that name the version or bear the banner; the others are linked, which costs nothing."""


def read_banner(home: Home) -> str | None:
    """The banner readers see now, None when the marts are as new as they can be."""
    current = current_version(home)
    return None if current is None else banner_text(publication(home, current))


def banner_text(said: Mapping[str, Any]) -> str | None:
    """The banner of a publication's own account, None without."""
    banner = said.get("banner")
    return _text(banner) if banner else None


def holds_back(home: Home) -> bool:
    """Whether readers are told that newer data waits: a build that succeeds ends that."""
    banner = _current(home)
    return banner is not None and banner.get("kind") != QUIET


def quiet_banner(home: Home) -> str | None:
    """What readers are told of silent sources now, None when nothing."""
    banner = _current(home)
    return banner["reason"] if banner and banner.get("kind") == QUIET else None


def _current(home: Home) -> dict[str, str] | None:
    current = current_version(home)
    return None if current is None else publication(home, current).get("banner")


def tell_quiet(ctx: Context, text: str | None) -> int | None:
    """Tell readers which sources are silent, or, with None, that none is any more.

    Nothing happens when that is said already, or when a failed build or a rollback has the word.

    Returns:
        The version that says so, None when nothing was published.
    """
    home = ctx.home
    with write_lock(home, "publish a banner"):
        current = current_version(home)
        if current is None or hold_reason(home) or holds_back(home):
            return None
        if quiet_banner(home) == text:
            return None
        if text is None:
            return _replace(ctx, current, None)
        return _replace(
            ctx, current, {"since": now_utc().isoformat(), "reason": text, "kind": QUIET}
        )


def raise_banner(ctx: Context, reason: str) -> int | None:
    """Tell readers that newer data is held back, and why; gives the version that says so.

    Nothing happens when the current version says it already, when none was published yet, or when
    a rollback holds publishing: then a person chose what readers see.

    Args:
        reason: what every reader may know; no person's data.
    """
    home = ctx.home
    with write_lock(home, "publish a banner"):
        current = current_version(home)
        if current is None or hold_reason(home):
            return None
        said = publication(home, current)
        before = said.get("banner") or {}
        if before.get("reason") == reason:
            return None
        since = before.get("since") if holds_back(home) else None
        return _replace(ctx, current, {"since": since or now_utc().isoformat(), "reason": reason})


def _replace(ctx: Context, current: int, banner: dict[str, str] | None) -> int:
    """Publish the current data once more, with this banner or with none."""
    home = ctx.home
    said = publication(home, current)
    version = versions(home)[-1] + 1
    said |= {
        "version": version,
        "data_version": said.get("data_version", current),
        "banner": banner,
    }
    try:
        _publish(home, current, said)
    except BaseException:
        shutil.rmtree(_folder(home, version).with_suffix(".part"), ignore_errors=True)
        raise
    forget_old(home, ctx.settings.kept_versions)
    return version


def _publish(home: Home, current: int, said: dict[str, Any]) -> None:
    folder = _folder(home, said["version"])
    draft = folder.with_suffix(".part")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(_folder(home, current), draft, copy_function=_link_or_copy)
    _write_meta(
        draft / "marts.duckdb", said["version"], _text(said["banner"]) if said["banner"] else None
    )
    (draft / "publication.json").chmod(0o644)
    (draft / "publication.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
    seal(draft)
    draft.rename(folder)
    point_to(home, said["version"])


def _folder(home: Home, version: int) -> Path:
    return home.published / "versions" / f"{version:06d}"


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).name in COPIED:
        shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _write_meta(marts: Path, version: int, text: str | None) -> None:
    marts.chmod(0o644)
    with duckdb.connect(str(marts)) as con:
        # a version published before there were banners has no column for one
        con.execute("alter table meta.publication add column if not exists banner varchar")
        con.execute(f"update meta.publication set version = {version}, banner = {literal(text)}")


def _text(banner: dict[str, str]) -> str:
    if banner.get("kind") == QUIET:
        return banner["reason"]
    since = dt.datetime.fromisoformat(banner["since"])
    return f"since {since:%Y-%m-%d %H:%M} UTC newer data is held back because {banner['reason']}"
