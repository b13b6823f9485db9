"""Commands for whoever keeps a home: backup, restore, retention, room on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carelake.cli_common import perform, progress, ready, say

if TYPE_CHECKING:
    from carelake.keeping.backup import BackupResult
    from carelake.keeping.backup_format import BackupManifest

retention_app = typer.Typer(
    no_args_is_help=True, help="Rows older than `retention:` in carelake.yml allows."
)

HOLDS = {
    "warehouse.duckdb": "raw rows, ledger, decisions, scores, follow-ups",
    "landing": "files as the sources gave them, with their manifests",
    "published": "the marts readers see now",
    "mlflow": "runs, models and their files",
    "ml": "decisions of the gate",
    "airflow": "Airflow's runs, connections and variables",
    "configuration": "sources.yml, carelake.yml, followup.yml, custom/",
    "state": "attempts of the extracts, and the servers' keys",
    "pepper": "the secret behind every key",
}


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder, or a file ending in .tar.zst.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: check the backup that is there.")
    ] = False,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Leave the pepper, keys and passwords out.")
    ] = False,
    base: Annotated[
        Path | None, typer.Option(help="An earlier backup folder: link what it has, copy the rest.")
    ] = None,
) -> None:
    """Save what a home records, while runs go on. It holds personal data: keep it as you keep those.

    Examples:

        carelake backup /mnt/backups/carelake-2024-05-01

        carelake backup /mnt/backups/carelake-2024-05-01.tar.zst --without-secrets

        carelake backup --verify /mnt/backups/carelake-2024-05-01.tar.zst
    """
    if verify:
        from carelake.keeping.backup_format import verify as check

        manifest = check(target)
        size = sum(entry.n_bytes for entry in manifest.files.values())
        typer.echo(f"{target}: {len(manifest.files):,} files, {_mb(size)}, all as written")
        _print_about(manifest)
        return
    from carelake.keeping.backup import backup as save

    shown = progress()
    with shown.step("backup") as note:
        done = save(
            ready(), target, with_secrets=not without_secrets, base=base, progress=shown
        )
        note.text = f"{_mb(done.n_bytes)}; writers waited {done.locked_seconds:.1f} s"
    _print_backup(done)


def _print_backup(done: BackupResult) -> None:
    from carelake.reports.tables import print_rows

    rows = [
        [kind, f"{files:,}", _mb(size), HOLDS.get(kind, "")]
        for kind, (files, size) in sorted(done.contents().items(), key=lambda item: -item[1][1])
    ]
    print_rows(["part", "files", "size", "what it is"], rows)
    _print_about(done.manifest)
    for line in done.manifest.damaged:
        say(f"warning: saved as it is, but {line}", err=True)
    typer.echo(f"check it: carelake backup --verify {done.path}")
    typer.echo(f"restore it: CARELAKE_HOME=/a/new/folder carelake restore {done.path}")


def _print_about(manifest: BackupManifest) -> None:
    marts = (
        f"marts version {manifest.version} as of {(manifest.as_of or '-')[:16]}"
        if manifest.version is not None
        else "nothing published yet"
    )
    typer.echo(f"made {manifest.made_at:%Y-%m-%d %H:%M} UTC by Carelake {manifest.carelake}; {marts}")
    if manifest.mlflow_artifacts is None:
        typer.echo("MLflow's store lies elsewhere (CARELAKE_MLFLOW_URI): save it there")
    if not manifest.holds_pepper:
        typer.echo("the pepper is not in it: keep it apart, no restore works without it")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup: folder or file.")],
) -> None:
    """Make a home of a backup, in `CARELAKE_HOME`, which must be empty.

    Example:

        CARELAKE_HOME=/srv/carelake/var carelake restore /mnt/backups/carelake-2024-05-01.tar.zst
    """
    from carelake.keeping.restore import restore as bring_back
    from carelake.settings import Home, prepare_environment

    home = Home.from_environment()
    prepare_environment(home)
    with progress().step("restore") as note:
        done = bring_back(source, home)
        note.text = f"{len(done.manifest.files):,} files into {home.root}"
    _print_about(done.manifest)
    if done.compared:
        typer.echo("recorded tables and published marts have the fingerprints they were saved with")
    else:
        typer.echo(
            f"saved with DuckDB {done.manifest.duckdb}: files were checked, fingerprints cannot be"
        )
    typer.echo(f"sources: {done.sources} · next: carelake run")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
