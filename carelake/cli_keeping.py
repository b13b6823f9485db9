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
    "configuration": "sources.yml, carelake.yml, followup.yml, needs.yml, custom/",
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
        done = save(ready(), target, with_secrets=not without_secrets, base=base, progress=shown)
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
    typer.echo(
        f"made {manifest.made_at:%Y-%m-%d %H:%M} UTC by Carelake {manifest.carelake}; {marts}"
    )
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


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")]


def tidy(dry_run: DryRun = False) -> None:
    """Make room: pack old landed files, remove old training runs, Airflow runs and logs.

    Examples:

        carelake tidy --dry-run

        carelake tidy
    """
    from carelake.reports.tables import print_rows

    ctx = ready()
    if dry_run:
        from carelake.keeping.tidy import tidy as look

        freed = [vars(each) for each in look(ctx, dry_run=True)]
    else:
        freed = perform(ctx, "tidy").details["freed"]
    if not freed:
        typer.echo("nothing to tidy")
        return
    rows = [[f["kind"], f["what"], f"{f['n']:,}", _mb(f["n_bytes"])] for f in freed]
    size = "up to" if dry_run else "freed"
    print_rows(["kind", "what", "things", size], rows)
    if dry_run:
        typer.echo("nothing was changed; do it with `carelake tidy`")


@retention_app.command("apply")
def retention_apply(dry_run: DryRun = False) -> None:
    """Remove rows and landed files older than `retention:` in carelake.yml allows.

    Every build leaves them out of the marts already; this removes them from raw tables and landing,
    and leaves a receipt for each batch.

    Examples:

        carelake retention apply --dry-run

        carelake retention apply
    """
    if not dry_run:
        perform(ready(), "apply_retention")
        return
    from carelake.steps import keeping

    result = keeping.apply_retention(ready(), progress(), dry_run=True)
    for entity, count in result.details.items():
        typer.echo(f"{entity}: {count}")
    typer.echo(result.summary)


@retention_app.command("receipts")
def retention_receipts(
    limit: Annotated[int, typer.Option(min=1, help="Newest receipts to show.")] = 20,
) -> None:
    """Show what was removed, when and by which rule.

    Example:

        carelake retention receipts
    """
    import duckdb

    from carelake.errors import RunFailed
    from carelake.reports.tables import print_query

    home = ready().home
    if not home.ops.exists():
        raise RunFailed(f"{home.ops}: nothing ran yet; run `carelake run`")
    with duckdb.connect(str(home.ops), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        print_query(
            con,
            "select strftime(applied_at, '%Y-%m-%d %H:%M') as applied, entity, keep_days, "
            "strftime(keep_from, '%Y-%m-%d %H:%M') as kept_from, batch_id, n_rows, n_rejects, "
            f"n_files, n_bytes from retention order by applied_at desc, entity, batch_id, n_files limit {limit}",
            "table",
        )
