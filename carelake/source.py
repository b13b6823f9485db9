"""One source of `sources.yml`: what is extracted, and how its columns become ours. Importing it is cheap."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from carelake.encodings import is_encoding
from carelake.entities import ENTITIES, PROMOTABLE, TIME_COLUMNS, Entity
from carelake.schedules import PRESETS, is_cron
from carelake.setting_groups.base import Strict, TimeZone
from carelake.setting_groups.freshness import Freshness
from carelake.settings import Channel
from carelake.source_kinds import GROUPS, KINDS, Kind, KindRule
from carelake.source_kinds.blocks import KindBlocks
from carelake.source_kinds.database import check_database
from carelake.source_kinds.imap import check_imap
from carelake.source_kinds.mongodb import check_mongodb
from carelake.source_kinds.remote import check_address, is_remote
from carelake.source_kinds.rest import check_rest
from carelake.source_kinds.services import check_service
from carelake.source_kinds.shaped import filled_in


class Attribute(Strict):
    """One source column kept beside ours and offered to the models."""

    name: str
    promote: bool = Field(default=False, description="Also a column of its own in the mart")


class Source(KindBlocks):
    """One configured system."""

    name: str = Field(description="snake_case, unique")
    kind: Kind = Field(description="What reads it")
    connection: str | None = Field(
        default=None, description="Airflow connection with address and secrets"
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
    id_namespace: str = Field(
        default="crm",
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
        description="Whose ids `customer_id` holds; sources with the same word mean the same customers",
    )
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
        if value is not None and value not in PRESETS and not is_cron(value):
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
        is_part = isinstance(content, dict) and "object" in content
        needs_no_block = rule is not None and (
            rule.group == "imap" or (rule.has_objects and not is_part)
        )
        if rule is not None and needs_no_block and content.get(str(rule.group)) is None:
            return {**content, str(rule.group): {}}  # a connection alone says enough
        if rule is not None and rule.shaped is not None:
            content = filled_in(content, rule)
        if rule is None or rule.format is None:
            return content
        if content.get("format") not in (None, rule.format):
            raise ValueError(f"format: kind {content['kind']} reads {rule.format}; remove the key")
        return {**content, "format": rule.format}

    @model_validator(mode="after")
    def _whole(self) -> Source:
        self._check_kind()
        if self.rule.has_objects and self.block == self.name:
            self._check_block()
            return self
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
        if self.webhook is not None and self.connection is None:
            raise ValueError("connection is missing; it holds the secret that signs what is pushed")
        if self.database is not None:
            check_database(self.database, self.connection, self.mode)
        if self.mongodb is not None:
            check_mongodb(self.mongodb, self.connection, self.mode)
        if self.rule.has_objects:
            check_service(getattr(self, str(group)), self.connection)
            return
        if group is not None and not self.tells_repeats:
            raise ValueError(
                f"columns.{self.id_column} is missing; what is read twice is told by it "
                "(or by `dedupe: content`)"
            )

    def _check_block(self) -> None:
        """A block that stands for several sources: what each of them is, its kind says."""
        for key in ("format", "entity", "columns", "records_path", "dedupe", "attributes"):
            if getattr(self, key):
                other = f"; use {self.rule.group}.fields" if key == "attributes" else ""
                raise ValueError(f"kind {self.kind} needs no {key}; remove it{other}")
        if self.mode != "append":
            raise ValueError(f"kind {self.kind} reads what changed; remove mode: {self.mode}")

    @property
    def block(self) -> str:
        """Name of the block a person wrote."""
        return self.name

    @property
    def id_path(self) -> str | None:
        """Where a record's id stands, as the source writes it; None without one."""
        return self.columns.get(self.id_column)

    @property
    def shape(self) -> str | None:
        """Which SQL makes rows of its records; None where `columns` does."""
        return f"{self.kind}/{self.rule.shaped}" if self.rule.shaped else None

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
        if self.webhook is not None:
            return f"pushed to /webhooks/{self.name}"
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
