"""A company's own dbt models beside ours: its `custom/` folder as a dbt package of this home.

dbt takes every project below `packages-install-path` for a package of ours. So the home holds one,
`company`, whose folders are links to the company's: nothing of it lies in the checkout, and nothing
of ours in its folder. A package cannot change what ours is made of; what is to take the place of a
file of ours says so by lying under `overrides/`.

Cheap to import: the checks of names run before every command.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelake.errors import ConfigError
from carelake.settings import PROJECT, Context, Home

if TYPE_CHECKING:
    import duckdb

OURS = PROJECT / "dbt_project"
PACKAGE = "company"
FOLDERS = ("models", "macros", "tests", "seeds")
LAYERS = ("staging", "intermediate", "marts")
"""Where a company's models may lie; features feed the models, whose columns are fixed."""
OVERRIDES = "overrides"
OVERRIDABLE = ("macros", "models")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
NOTES = "overridden.json"


@dataclass(frozen=True)
class DbtProject:
    """What dbt is to build: our project, or this home's copy with a company's overrides in it.

    `digest` is that of the company's own files, None without any.
    """

    root: Path
    packages: Path
    digest: str | None

    @property
    def has_company(self) -> bool:
        """Whether a company's own models take part."""
        return self.digest is not None


def custom_folder(config_dir: Path) -> Path:
    """`custom/` beside the source list."""
    return config_dir / "custom"


def check_names(config_dir: Path) -> None:
    """Refuse files of `custom/` that lie in no layer, bear a name of ours, or override nothing.

    Raises:
        ConfigError: naming the file and the mend.
    """
    custom = custom_folder(config_dir)
    if not custom.is_dir():
        return
    ours = {path.stem: path for path in _files(OURS / "models", ".sql")}
    seen: dict[str, Path] = {}
    for path in _files(custom / "models", ".sql", ".yml", ".yaml", ".py", ".csv"):
        _check_place(path, custom / "models")
    for path in [*_files(custom / "models", ".sql"), *_files(custom / "seeds", ".csv")]:
        _check_name(path, ours, seen)
    for path in _files(custom / OVERRIDES):
        _check_override(path, custom / OVERRIDES)


def _check_place(path: Path, models: Path) -> None:
    if path.suffix == ".py":
        raise ConfigError(f"{path}: models are SQL here; write it as a .sql file")
    if path.suffix == ".csv":
        raise ConfigError(f"{path}: is a seed; move it to {models.parent / 'seeds'}")
    if path.relative_to(models).parts[0] not in LAYERS or path.parent == models:
        folders = ", ".join(f"models/{layer}" for layer in LAYERS)
        raise ConfigError(f"{path}: lies in no layer; move it to one of {folders}")


def _check_name(path: Path, ours: dict[str, Path], seen: dict[str, Path]) -> None:
    name = path.stem
    if not NAME.fullmatch(name):
        raise ConfigError(f"{path}: '{name}' must be snake_case: letters a-z, digits and _")
    if name in ours:
        instead = Path(OVERRIDES) / ours[name].relative_to(OURS)
        raise ConfigError(
            f"{path}: '{name}' is a model of ours; rename yours, or move it to custom/{instead} "
            "to take its place"
        )
    if name in seen:
        raise ConfigError(f"{path}: {seen[name]} bears the same name; rename one")
    seen[name] = path


def _check_override(path: Path, overrides: Path) -> None:
    inside = path.relative_to(overrides)
    if inside.parts[0] in OVERRIDABLE and (OURS / inside).is_file():
        return
    raise ConfigError(
        f"{path}: overrides nothing, for there is no dbt_project/{inside}; give it the path of the "
        "file whose place it takes, or move it out of overrides/"
    )


def _files(folder: Path, *suffixes: str) -> list[Path]:
    """Files below a folder in order, hidden ones left out; all kinds without suffixes."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (not suffixes or path.suffix in suffixes)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def files_digest(folder: Path, names: tuple[str, ...]) -> str:
    """Digest of the files below some folders: their places and their bytes."""
    digest = hashlib.sha256()
    for name in names:
        for path in _files(folder / name):
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare(ctx: Context, *, built_by: str | None = None) -> DbtProject:
    """Make the dbt project of this home anew; call under the write lock.

    Args:
        built_by: digest of the company's files at the last build. While theirs is another, what
            their incremental models remember is forgotten.
    """
    custom = custom_folder(ctx.config_dir)
    packages = ctx.home.dbt / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    digest = None
    if any(_files(custom / name) for name in FOLDERS):
        digest = files_digest(custom, FOLDERS)
        _write_package(packages / PACKAGE, custom, anew=built_by != digest)
    return DbtProject(_project_root(ctx.home, custom / OVERRIDES), packages, digest)


def _write_package(folder: Path, custom: Path, *, anew: bool) -> None:
    folder.mkdir()
    for name in FOLDERS:
        if (custom / name).is_dir():
            (folder / name).symlink_to((custom / name).resolve())
    marts = {
        "+contract": {"enforced": True},
        "+persist_docs": {"relation": True, "columns": True},
    }
    layers: dict[str, Any] = {
        layer: {"+schema": layer, "+materialized": "table", **(marts if layer == "marts" else {})}
        for layer in LAYERS
    }
    content = {
        "name": PACKAGE,
        "version": "1.0.0",
        "config-version": 2,
        **{f"{name.removesuffix('s')}-paths": [name] for name in FOLDERS},
        "snapshot-paths": [],
        "analysis-paths": [],
        "models": {PACKAGE: layers | ({"+full_refresh": True} if anew else {})},
        "seeds": {PACKAGE: {"+schema": "staging", "+quote_columns": False}},
    }
    # JSON is YAML
    (folder / "dbt_project.yml").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _project_root(home: Home, overrides: Path) -> Path:
    """Our project; a copy with the company's files in it where there are overrides."""
    copy = home.dbt / "project"
    shutil.rmtree(copy, ignore_errors=True)
    found = _files(overrides)
    if not found:
        return OURS
    shutil.copytree(OURS, copy, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    for path in found:
        shutil.copyfile(path, copy / path.relative_to(overrides))
    _note_overridden(home, overrides, found)
    return copy


def _note_overridden(home: Home, overrides: Path, found: list[Path]) -> None:
    """Remember which file of ours each override was written against: the one at its first build."""
    path = home.dbt / NOTES
    known = _notes(path)
    notes = {}
    for file in found:
        inside = str(file.relative_to(overrides))
        theirs, ours = _sha(file), _sha(OURS / inside)
        before = known.get(inside)
        notes[inside] = before if before and before["theirs"] == theirs else {
            "theirs": theirs, "ours": ours
        }  # fmt: skip
    path.write_text(json.dumps(notes, indent=1), encoding="utf-8")


def outgrown_overrides(ctx: Context) -> Iterator[Path]:
    """Overrides whose original changed since they were first built: an upgrade did that."""
    overrides = custom_folder(ctx.config_dir) / OVERRIDES
    known = _notes(ctx.home.dbt / NOTES)
    for file in _files(overrides):
        inside = file.relative_to(overrides)
        note = known.get(str(inside))
        if note and note["theirs"] == _sha(file) and note["ours"] != _sha(OURS / inside):
            yield file


def _notes(path: Path) -> dict[str, dict[str, str]]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def check_manifest(manifest: Any, ctx: Context) -> None:
    """Refuse what dbt found in `custom/` and would let pass: hidden overrides, undescribed marts.

    Args:
        manifest: dbt's, of our project and the company's package.

    Raises:
        ConfigError: naming file and mend.
    """
    custom = custom_folder(ctx.config_dir)
    ours = {m.name: m for m in manifest.macros.values() if m.package_name != PACKAGE}
    for macro in manifest.macros.values():
        if macro.package_name == PACKAGE and macro.name in ours:
            of = ours[macro.name]
            is_ours = of.package_name == "carelake"
            whose = f"ours, in {of.original_file_path}" if is_ours else f"{of.package_name}'s"
            mend = f", or move the file to custom/{OVERRIDES}/{of.original_file_path}"
            raise ConfigError(
                f"{custom / macro.original_file_path}: macro '{macro.name}' is also {whose}; "
                f"rename yours{mend + ' to take its place' if is_ours else ''}"
            )
    for node in manifest.nodes.values():
        if node.package_name == PACKAGE:
            _check_node(node, custom / node.original_file_path)


def _check_node(node: Any, path: Path) -> None:
    kind = str(node.resource_type)
    if kind not in ("model", "seed"):
        return
    if node.schema not in LAYERS:
        raise ConfigError(
            f"{path}: schema '{node.schema}' is not a company's to write; remove that `schema:`, "
            "the folder decides"
        )
    if node.alias != node.name:
        raise ConfigError(f"{path}: a model is called like its file; remove `alias:`")
    if kind == "model" and node.schema == "marts":
        _check_mart(node, path)


def _check_mart(node: Any, path: Path) -> None:
    beside = path.with_suffix(".yml")
    if not node.columns:
        raise ConfigError(
            f"{path}: a mart needs a contract; write {beside.name} beside it, with name, data_type "
            "and description of each column"
        )
    if not node.config.contract.enforced:
        raise ConfigError(f"{path}: a mart's contract is enforced; remove `enforced: false`")
    if not node.description:
        raise ConfigError(f"{beside}: {node.name} has no description; say what one row is")
    for column in node.columns.values():
        if not column.description:
            raise ConfigError(
                f"{beside}: column '{column.name}' of {node.name} has no description; add one"
            )


def as_named(text: str, ctx: Context) -> str:
    """A message of dbt's in which a company's files bear their full path."""
    custom = custom_folder(ctx.config_dir)

    def full(match: re.Match[str]) -> str:
        inside = match.group(0)
        return str(custom / inside) if (custom / inside).is_file() else inside

    return re.sub(rf"(?<![\w/])(?:{'|'.join(FOLDERS)})/[\w./-]*\w", full, text)


def drop_gone(con: duckdb.DuckDBPyConnection, manifest: Path, schemas: tuple[str, ...]) -> int:
    """Drop derived tables and views that no model makes any more; gives how many.

    A mart that was taken out of `custom/`, or out of ours by an upgrade, is not published again.
    """
    content = json.loads(manifest.read_text(encoding="utf-8"))
    made = {
        (node["schema"], node["alias"])
        for node in content["nodes"].values()
        if node["resource_type"] in ("model", "seed", "snapshot")
    }
    names = ", ".join(f"'{schema}'" for schema in schemas)
    there = con.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        f"where table_catalog = current_database() and table_schema in ({names})"
    ).fetchall()
    gone = [row for row in there if (row[0], row[1]) not in made]
    for schema, name, kind in gone:
        con.execute(f'drop {"view" if kind == "VIEW" else "table"} "{schema}"."{name}"')
    return len(gone)
