"""A block of `sources.yml` that stands for several sources, and the sources it stands for."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import Field

from carelake.entities import ENTITIES, Entity
from carelake.source import Source
from carelake.source_kinds import KINDS
from carelake.source_kinds.services import ObjectRule, ServiceRule, ServiceSettings

HANDED_ON = (
    "kind", "connection", "timezone", "channel", "region", "schedule", "freshness", "owner", "tags",
    "max_line_bytes", "max_expanded_bytes",
)  # fmt: skip
"""Keys of a block that hold for each of its sources."""


class Part(Source):
    """One object of a service: a source that the block a person wrote stands for.

    Attributes:
        system: name of the block.
        object: which of the service's objects.
        record_id: dotted path of a record's id, as the service writes it.
        said: what a person said that its shape reads.
    """

    system: str
    object: str
    record_id: str
    said: dict[str, str] = Field(default={})

    def _check_kind(self) -> None:
        """Nothing: a person wrote the block, which was checked."""

    @property
    def block(self) -> str:
        """Name of the block a person wrote."""
        return self.system

    @property
    def shape(self) -> str | None:
        """Which SQL makes rows of its records."""
        return f"{self.kind}/{self._described.shape or self.object}"

    @property
    def beside(self) -> tuple[str, ...]:
        """Dotted paths of what its shape reads of a page, beside the records."""
        return self._described.beside

    @property
    def id_path(self) -> str | None:
        """Where a record's id stands."""
        return self.record_id

    @property
    def _described(self) -> ObjectRule:
        return service_rule(self.kind).objects[self.object]


def service_rule(kind: str) -> ServiceRule:
    """The objects of a kind, and how they are asked for."""
    module = importlib.import_module(f"carelake.source_kinds.{KINDS[kind].group}")
    found: ServiceRule = module.SERVICE
    return found


def expand(block: Source) -> list[Source]:
    """The sources that a block stands for: itself, or one for each object that is read.

    Raises:
        ValueError: a name would be too long.
    """
    if not block.rule.has_objects:
        return [block]
    settings: ServiceSettings = getattr(block, block.rule.group or "")
    rule = service_rule(block.kind)
    return [_part(block, settings, rule, name) for name in settings.chosen]


def _part(block: Source, settings: ServiceSettings, rule: ServiceRule, name: str) -> Part:
    described: ObjectRule = rule.objects[name]
    known = ENTITIES[described.entity]
    return Part.model_validate(
        {
            **{key: getattr(block, key) for key in HANDED_ON},
            "name": f"{block.name}_{name}",
            "system": block.name,
            "object": name,
            # a system's ids are its own, unless the block says that others use them too
            "id_namespace": block.id_namespace
            if "id_namespace" in block.model_fields_set
            else block.name,
            "record_id": described.record_id,
            "said": rule.say(settings),
            "entity": described.entity,
            "format": "json",
            "records_path": described.records_path,
            "columns": {column: column for column in known},
            "constants": _known(block.constants, described.entity),
            "values": _known(block.values, described.entity),
            "attributes": settings.fields.get(name, []),
            "rest": rule.ask(settings, name),
        }
    )


def _known(given: dict[str, Any], entity: Entity) -> dict[str, Any]:
    """What is said of columns that an entity has."""
    return {column: value for column, value in given.items() if column in ENTITIES[entity]}
