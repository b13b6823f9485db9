"""Where the home lies, how much room it has, who may read it; where the sources are."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from carelake.doctor.findings import Finding, Patient, fail, listed, ok, warn
from carelake.settings import Home
from carelake.sources.files import find_files
from carelake.warehouse.company import outgrown_overrides

GB = 10**9
LEAST_FREE, SPARE_FREE = 0.5 * GB, 2 * GB
NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "davfs",
        "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.glusterfs", "vboxsf",
    }
)  # fmt: skip
SECRET = ("pepper", "state/secrets.json", "state/airflow_passwords.json", "warehouse.duckdb")
PRIVATE = ("landing", "ml", "mlflow", "airflow", "gx", "data_docs", "dbt", "state", "tmp")


def home(patient: Patient) -> Iterator[Finding]:
    """Whether the home was made, and still has its secret."""
    here = patient.home
    if here.warehouse.exists() and not here.is_initialised():
        yield fail(
            "home",
            f"{here.pepper_file} is gone: every key was made with it, and no other fits",
            "put it back from where it is kept, or set CARELAKE_PEPPER to it",
        )
    elif not here.is_initialised():
        yield fail("home", f"{here.root}: not a Carelake home yet", "carelake init")
    else:
        yield ok("home", str(here.root))
    remembered = here.remembered_sources
    if remembered.exists():
        path = Path(remembered.read_text(encoding="utf-8").strip())
        if not path.exists():
            yield warn(
                "home",
                f"it remembers the source list {path}, which is not there",
                "carelake init --sources PATH names the right one",
            )


def disk(patient: Patient) -> Iterator[Finding]:
    """Whether there is room for a build, which may need the warehouse's size again."""
    here = patient.home
    root = next(path for path in (here.root, *here.root.parents) if path.exists())
    free = shutil.disk_usage(root).free
    size = here.warehouse.stat().st_size if here.warehouse.exists() else 0
    what = (
        f"{free / GB:.1f} GB free on the disk of {here.root}, the warehouse has {size / GB:.1f} GB"
    )
    mend = "make room, lower `kept_versions`, or move the home to a larger disk"
    if free < max(LEAST_FREE, size):
        yield fail("disk", what, mend)
    elif free < max(SPARE_FREE, 3 * size):
        yield warn("disk", what, mend)
    else:
        yield ok("disk", what)


def file_system(patient: Patient, mounts: Path = Path("/proc/mounts")) -> Iterator[Finding]:
    """Whether the home lies on this machine's own disk: locks and databases need one."""
    if not mounts.exists():
        return
    root = patient.home.root
    best, kind = "", "unknown"
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, place, found, *_ = line.split()
        place = place.replace("\\040", " ")
        if root.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, found
    if kind in NETWORK:
        yield fail(
            "file system",
            f"{root} lies on {kind} ({best}): locks and databases are not safe over a network",
            "move the home to a disk of this machine; replicate or copy what is published instead",
        )
    else:
        yield ok("file system", f"{kind} ({best or '/'})")


def permissions(patient: Patient) -> Iterator[Finding]:
    """Whether secrets are the owner's alone, and nobody writes what is published."""
    here = patient.home
    found = [*_open_secrets(here), *_open_folders(here), *_writable(here), *_strange_owner(here)]
    yield from found or [ok("permissions", "secrets are private, what is published is read-only")]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _open_secrets(here: Home) -> Iterator[Finding]:
    for name in SECRET:
        path = here.root / name
        if path.exists() and _mode(path) & 0o077:
            yield fail(
                "permissions",
                f"{path} has mode {_mode(path):04o}: others can read it",
                f"chmod 600 {path}",
            )


def _open_folders(here: Home) -> Iterator[Finding]:
    for name in PRIVATE:
        path = here.root / name
        if path.is_dir() and _mode(path) & 0o077:
            yield warn("permissions", f"{path} has mode {_mode(path):04o}", f"chmod 700 {path}")


def _writable(here: Home) -> Iterator[Finding]:
    for path in (here.root, here.published, here.published / "versions"):
        if path.is_dir() and _mode(path) & 0o022:
            yield fail(
                "permissions",
                f"{path} has mode {_mode(path):04o}: others can write into it",
                f"chmod go-w {path}",
            )
    current = here.published / "current"
    loose = [path for path in sorted(current.glob("*.duckdb")) if _mode(path) & 0o222]
    if loose:
        # a client that opens it in its default mode would take a write lock and shut others out
        yield warn(
            "permissions",
            f"{loose[0]} can be written: one client may shut all readers out",
            f"chmod a-w {' '.join(map(str, loose))}",
        )


def _strange_owner(here: Home) -> Iterator[Finding]:
    me = os.geteuid()
    if me == 0 or not here.root.exists():
        return
    paths = (here.root, here.warehouse, here.lock, here.pepper_file, here.ops)
    strange = [str(path) for path in paths if path.exists() and path.stat().st_uid != me]
    if strange:
        yield fail(
            "permissions",
            f"{listed(strange)} belongs to another user: a run by another account made it",
            f"chown -R {me} {here.root}, and run under one account",
        )


def sources(patient: Patient) -> Iterator[Finding]:
    """Whether each source's path leads to a file."""
    if patient.ctx is None:
        return
    empty = []
    for source in patient.ctx.sources.sources:
        try:
            if source.has_local_files and not find_files(source, patient.ctx.config_dir):
                empty.append(source.name)
                yield warn(
                    "sources",
                    f"{source.name}: no file matches {source.path}",
                    "put one there, or correct its `path` in sources.yml",
                )
        except (OSError, ValueError) as error:
            empty.append(source.name)
            yield warn("sources", f"{source.name}: {error}", "correct its `path` or its rights")
    n_sources = len(patient.ctx.sources.sources)
    if not empty and n_sources:
        yield ok("sources", f"{n_sources} of {n_sources} have files")


def custom(patient: Patient) -> Iterator[Finding]:
    """Whether an upgrade changed a file of ours that the company's own takes the place of."""
    if patient.ctx is None:
        return
    for path in outgrown_overrides(patient.ctx):
        yield warn(
            "custom",
            f"{path} takes the place of a file of ours that has changed since",
            "compare both, bring over what is new, and save yours",
        )
