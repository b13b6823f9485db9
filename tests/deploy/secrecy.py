"""Where a secret may be found, and who may open what."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

PUBLISHED_FILE, PUBLISHED_FOLDER = 0o444, 0o755
OWNERS = 0o077
OTHERS_WRITE = 0o022
LEAST_SECRET = 12


def found_in_files(folder: Path, secrets: Mapping[str, str]) -> set[tuple[str, str]]:
    """Rows (name of the secret, file below the folder) of every place a secret stands in.

    DuckDB and Parquet files pack their texts, so these are unpacked and searched as well.
    """
    wanted = {name: value.encode() for name, value in secrets.items()}
    assert all(len(value) >= LEAST_SECRET for value in wanted.values())
    found = set()
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        contents = [path.read_bytes(), *_unpacked(path)]
        for name, value in wanted.items():
            if any(value in content for content in contents):
                found.add((name, str(path.relative_to(folder))))
    return found


def _unpacked(path: Path) -> Iterable[bytes]:
    if path.suffix == ".parquet":
        with duckdb.connect() as con:
            yield _text(con, f"read_parquet('{path}')")
    elif path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as con:
            tables = con.execute(
                "select database_name, schema_name, table_name from duckdb_tables()"
                " union all select database_name, schema_name, view_name from duckdb_views()"
                " where not internal"
            ).fetchall()
            for names in tables:
                yield _text(con, ".".join(f'"{name}"' for name in names))


def _text(con: duckdb.DuckDBPyConnection, relation: str) -> bytes:
    rows = con.execute(f"select to_json(t)::varchar from {relation} t").fetchall()
    return "\n".join(row[0] for row in rows).encode()


def too_open(home: Path) -> list[str]:
    """What in a home another user of the machine could read, list or write and should not.

    Readers pass through the home's folder, which they cannot list, to `published/`; there every
    file is 0444 but the one with full texts, which is its owner's. All else is its owner's.
    """
    wrong = []
    if _mode(home) != 0o711:
        wrong.append(f"{home}: {_mode(home):o}")
    for path in home.rglob("*"):
        if path.is_symlink():
            continue
        mode, below = _mode(path), path.relative_to(home)
        if below.parts[0] != "published":
            # below a folder of the owner's own, nobody comes; even there nobody else writes
            reachable = len(below.parts) == 1
            is_wrong = mode & (OWNERS if reachable else OTHERS_WRITE)
        elif path.is_dir():
            is_wrong = mode != PUBLISHED_FOLDER
        elif path.name == "private.duckdb":
            is_wrong = mode != 0o400
        else:
            is_wrong = mode & 0o133 or not mode & 0o004
        if is_wrong:
            wrong.append(f"{below}: {mode:o}")
    return sorted(wrong)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
