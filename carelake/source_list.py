"""`sources.yml`: what is extracted, and how its columns become ours.

Both extract and load read this file, so it stands above both. Importing it is cheap.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from carelake.encodings import is_encoding
from carelake.entities import ENTITIES, PROMOTABLE, TIME_COLUMNS, Entity
from carelake.errors import ConfigError
from carelake.setting_groups.base import Strict, TimeZone
from carelake.setting_groups.freshness import Freshness
from carelake.settings import Channel, Home, explain, read_yaml
from carelake.source_kinds import GROUPS, KINDS, Kind, KindRule
from carelake.source_kinds.database import DatabaseSettings, check_database
from carelake.source_kinds.imap import ImapSettings, check_imap
from carelake.source_kinds.mongodb import MongoSettings, check_mongodb
from carelake.source_kinds.remote import check_address, is_remote
from carelake.source_kinds.rest import RestSettings, check_rest

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
"""Schedules by name, as Airflow has them."""


class Attribute(Strict):
    """One source column kept beside ours and offered to the models."""

    name: str
    promote: bool = Field(default=False, description="Also a column of its own in the mart")


class Source(Strict):
    """One configured system."""

    name: str = Field(description="snake_case, unique")
    kind: Kind = Field(description="What reads it")
    connection: str | None = Field(
        default=None, description="Airflow connection with address and secrets"
    )
    rest: RestSettings | None = Field(default=None, description="kind rest: how it is asked")
    imap: ImapSettings | None = Field(default=None, description="kind imap: how it is read")
    database: DatabaseSettings | None = Field(
        default=None, description="kinds postgres, mysql: what is read of it"
    )
    mongodb: MongoSettings | None = Field(
        default=None, description="kind mongodb: what is read of it"
    )
    path: str = Field(
        default="",
        description="File or glob, relative to sources.yml; or s3://, sftp:// or https://",
    )
    format: Literal["csv", "jsonl", "json", "parquet", "xlsx"] | None = Field(
        default=None, description="Format of the files; .gz and .zst are opened"
    )
    records_path: str | None = Field(
        default=None, description="json: dotted path to the list of records, as in data.items"
    )
    encoding: str = Field(default="utf-8", description="utf-8, gb18030, ...")
    delimiter: str | None = Field(
        default=None, description="csv: field separator; found once if unset"
    )
    quote: str | None = Field(default=None, description='csv: quote character; " if unset')
    header: bool = Field(default=True, description="csv: first line names the columns")
    sheet: str | None = Field(default=None, description="xlsx: sheet name; the first if unset")
    mode: Literal["append", "snapshot"] = Field(
        default="append",
        description="snapshot: the newest batch replaces, vanished rows are deletions",
    )
    dedupe: Literal["key", "content", "none"] | None = Field(
        default=None, description="How repeats are told; key with an id, none without"
    )
    entity: Entity | None = Field(default=None, description="What the files hold")
    columns: dict[str, str] = Field(default={}, description="ours: theirs")
    constants: dict[str, str] = Field(default={}, description="ours: one value for every row")
    values: dict[str, dict[str, str]] = Field(default={}, description="ours: {theirs: ours}")
    attributes: list[Attribute] = Field(
        default=[], description="Columns kept and offered to models"
    )
    timestamps: str | list[str] | dict[str, str | list[str]] | None = Field(
        default=None, description="strptime format, several, or one per column; ISO 8601 if unset"
    )
    timezone: TimeZone = Field(default="UTC", description="Zone of times written without one")
    channel: Channel | None = Field(default=None, description="Channel of rows that name none")
    region: str | None = Field(default=None, description="ISO country of numbers without a prefix")
    schedule: str | None = Field(default="@daily", description="Cron line or preset of its DAG")
    # no model can see it: another limit builds nothing anew
    freshness: Freshness | None = Field(
        default=None, exclude=True, description="How long it may be quiet; watched only if set"
    )
    owner: str = Field(default="data-engineering", description="Who is asked when it fails")
    tags: list[str] = Field(default=[], description="Tags of its DAG")
    max_line_bytes: int = Field(
        default=16_000_000, ge=1_000, description="Longer lines are rejects"
    )
    max_expanded_bytes: int | None = Field(
        default=None,
        ge=1_000,
        description="A packed file that unpacks to more is held; 8 GB if unset, xlsx 1 GB",
    )

    @field_validator("name")
    @classmethod
    def _snake_case(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", value):
            raise ValueError(
                f"'{value}' must be snake_case: letters a-z, digits and _, as in shop_support"
            )
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if not is_encoding(value):
            raise ValueError(f"'{value}' is no text encoding; use utf-8, gb18030, latin-1, ...")
        return value

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS and not _is_cron(value):
            raise ValueError(
                f"'{value}' is no schedule; write a cron line such as '*/5 * * * *', "
                f"one of {', '.join(PRESETS)}, or null for none"
            )
        return value

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if not value:
            return None
        if value != "\t" and (len(value) > 1 or not value.isprintable() or value == " "):
            raise ValueError(f"{value[:20]!r} must be one visible character, or a tab")
        return value

    @field_validator("connection")
    @classmethod
    def _connection_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_\-]*", value):
            raise ValueError(f"'{value[:20]}' is no name of a connection; secrets stay out of here")
        return value

    @field_validator("path")
    @classmethod
    def _usable_path(cls, value: str) -> str:
        if not value:
            return value
        parts = Path(value).parts
        if not value.strip() or not parts or parts[-1] in ("/", "..") or "\0" in value:
            raise ValueError("names no file; write one, or a glob such as inbox/*.csv")
        if any("**" in part and part != "**" for part in parts):
            raise ValueError("'**' stands alone between two slashes, as in inbox/**/*.csv")
        return value

    @field_validator("attributes", mode="before")
    @classmethod
    def _short_attributes(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("values", mode="before")
    @classmethod
    def _text_values(cls, value: Any) -> Any:
        # YAML reads 1, yes and 2024-01-01 as other things than text
        if not isinstance(value, dict):
            return value
        return {
            column: {str(theirs): str(ours) for theirs, ours in pairs.items()}
            if isinstance(pairs, dict)
            else pairs
            for column, pairs in value.items()
        }

    @field_validator("constants", "columns", mode="before")
    @classmethod
    def _text_constants(cls, value: Any) -> Any:
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="before")
    @classmethod
    def _landed_format(cls, content: Any) -> Any:
        """Fill in the format where the kind decides it, and a block that may be left out."""
        rule = KINDS.get(str(content.get("kind"))) if isinstance(content, dict) else None
        if rule is not None and rule.group == "imap" and content.get("imap") is None:
            return {**content, "imap": {}}  # a connection alone says enough
        if rule is None or rule.format is None:
            return content
        if content.get("format") not in (None, rule.format):
            raise ValueError(f"format: kind {content['kind']} reads {rule.format}; remove the key")
        return {**content, "format": rule.format}

    @model_validator(mode="after")
    def _whole(self) -> Source:
        self._check_kind()
        if self.rule.native:
            if self.columns or self.entity or self.format:
                raise ValueError(
                    f"kind {self.kind} needs no format, entity or columns; remove them"
                )
            return self
        if self.entity is None:
            raise ValueError(f"entity is missing; add one of {', '.join(ENTITIES)}")
        if self.format is None:
            raise ValueError("format is missing; add csv, jsonl, json, parquet or xlsx")
        if not self.columns:
            raise ValueError("columns is missing; map at least one of ours to theirs")
        known = ENTITIES[self.entity]
        for group in ("columns", "constants", "values"):
            for column in getattr(self, group):
                if column not in known:
                    raise ValueError(
                        f"{group}.{column}: {self.entity} has no such column; use one of {', '.join(known)}"
                    )
        promoted = [attribute.name for attribute in self.attributes if attribute.promote]
        if promoted and self.entity not in PROMOTABLE:
            raise ValueError(
                f"attributes.{promoted[0]}: promote works for {' and '.join(PROMOTABLE)}; "
                f"remove it, {self.entity} keep the attribute all the same"
            )
        if self.records_path and self.format != "json":
            raise ValueError(f"records_path belongs to format json, not {self.format}")
        if self.dedupe == "key" and not self.has_id:
            raise ValueError(
                f"dedupe: key needs columns.{self.id_column}; map it or use content or none"
            )
        if isinstance(self.timestamps, dict):
            for column in self.timestamps:
                if column not in known or column not in TIME_COLUMNS:
                    raise ValueError(f"timestamps.{column}: {self.entity} has no such time column")
        return self

    def _check_kind(self) -> None:
        group = self.rule.group
        for name, kind in GROUPS.items():
            if name != group and getattr(self, name) is not None:
                raise ValueError(f"{name} belongs to kind {kind}, not {self.kind}")
        if self.rule.has_path and not self.path:
            raise ValueError("path is missing; name a file, or a glob such as inbox/*.csv")
        if is_remote(self.path) and self.rule.has_path:
            check_address(self.path, self.connection)
        if self.path and not self.rule.has_path:
            raise ValueError(f"path belongs to files; kind {self.kind} has its own keys: {group}")
        if group is not None and getattr(self, group) is None:
            raise ValueError(
                f"{group} is missing; add what kind {self.kind} needs: {self.rule.required}"
            )
        if self.rest is not None:
            check_rest(self.rest, self.connection)
        if self.imap is not None:
            check_imap(self.connection)
        if self.database is not None:
            check_database(self.database, self.connection, self.mode)
        if self.mongodb is not None:
            check_mongodb(self.mongodb, self.connection, self.mode)
        if group is not None and not self.tells_repeats:
            raise ValueError(
                f"columns.{self.id_column} is missing; what is read twice is told by it "
                "(or by `dedupe: content`)"
            )

    @property
    def rule(self) -> KindRule:
        """What is true of every source of its kind."""
        return KINDS[self.kind]

    @property
    def has_local_files(self) -> bool:
        """Whether it reads files of this machine."""
        return self.rule.has_path and not is_remote(self.path)

    @property
    def tells_repeats(self) -> bool:
        """Whether a record that is read twice counts once."""
        return self.mode == "snapshot" or self.has_id or self.dedupe == "content"

    @property
    def where(self) -> str:
        """What is read, as people name it."""
        if self.imap is not None:
            return f"{self.connection}: {', '.join(self.imap.folders)}"
        if self.database is not None:
            return f"{self.connection}/{self.database.table or 'query'}"
        if self.mongodb is not None:
            return f"{self.connection}/{self.mongodb.collection}"
        if self.rest is None:
            return self.path
        return "/".join(filter(None, [self.rest.url or self.connection, self.rest.endpoint]))

    @property
    def max_expanded(self) -> int:
        """`max_expanded_bytes` with its default filled in."""
        return self.max_expanded_bytes or (10**9 if self.format == "xlsx" else 8 * 10**9)

    @property
    def id_column(self) -> str:
        """Our id column of its entity."""
        return ENTITIES[self.entity][0] if self.entity else "message_id"

    @property
    def has_id(self) -> bool:
        """Whether the source names its rows itself."""
        return self.rule.native is not None or self.id_column in self.columns

    @property
    def dedupe_rule(self) -> str:
        """`dedupe` with its default filled in."""
        return self.dedupe or ("key" if self.has_id else "none")

    @property
    def raw_table(self) -> str:
        """The raw table its rows go to."""
        return self.entity or self.rule.native or ""

    def time_formats(self, column: str) -> list[str]:
        """Strptime formats of one of our time columns; empty means ISO 8601."""
        formats = self.timestamps
        if isinstance(formats, dict):
            formats = formats.get(column)
        if formats is None:
            return []
        return [formats] if isinstance(formats, str) else list(formats)


class SourceList(Strict):
    """The whole of `sources.yml`."""

    sources: list[Source] = Field(default=[])
    path: Path = Field(default=Path("sources.yml"), exclude=True)

    @model_validator(mode="after")
    def _unique(self) -> SourceList:
        seen: set[str] = set()
        for source in self.sources:
            if source.name in seen:
                raise ValueError(f"name '{source.name}' stands twice; rename one")
            seen.add(source.name)
        return self

    @classmethod
    def load(cls, path: Path) -> SourceList:
        """Read and check a source list.

        Raises:
            ConfigError: naming file, source, key and mend.
        """
        if not path.exists():
            raise ConfigError(
                f"{path}: no such file; write one, name it with CARELAKE_SOURCES, "
                "or make an example with `carelake sample DIR`"
            )
        content = read_yaml(path)
        items = content.get("sources") or []
        content["sources"] = items
        if not isinstance(items, list):
            raise ConfigError(f"{path}: sources: must be a list; begin each source with `- name:`")
        names = {i: str(s.get("name", i)) for i, s in enumerate(items) if isinstance(s, dict)}
        try:
            return cls.model_validate({**content, "path": path.resolve()})
        except ValidationError as error:
            raise ConfigError(explain(path, error, names, Source.model_fields)) from error

    def select(self, names: list[str] | None) -> list[Source]:
        """The named sources, all without names.

        Raises:
            ConfigError: a name that is not in the list.
        """
        if not names:
            return list(self.sources)
        by_name = {source.name: source for source in self.sources}
        for name in names:
            if name not in by_name:
                known = ", ".join(by_name) or "none yet"
                raise ConfigError(f"{self.path}: no source '{name}'; there are: {known}")
        return [by_name[name] for name in names]


def _is_cron(line: str) -> bool:
    from croniter import croniter  # type: ignore[import-untyped, unused-ignore]

    # Airflow takes five fields, or six with seconds at the end
    return len(line.split()) in (5, 6) and croniter.is_valid(line)


def source_list_path(home: Home) -> Path:
    """Where the source list is.

    `CARELAKE_SOURCES`; else `sources.yml` here, once it lists a source; else the one this home was
    set up with; else `sources.yml` here, whatever it holds.
    """
    named = os.environ.get("CARELAKE_SOURCES")
    if named:
        return Path(named).expanduser().resolve()
    here = Path("sources.yml").resolve()
    if not home.remembered_sources.exists() or (here.exists() and read_yaml(here).get("sources")):
        return here
    return Path(home.remembered_sources.read_text(encoding="utf-8").strip())
