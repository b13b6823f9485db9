"""What kinds that know their records decide themselves."""

from __future__ import annotations

from typing import Any

from carelake.entities import ENTITIES
from carelake.source_kinds import KindRule


def filled_in(content: dict[str, Any], rule: KindRule) -> dict[str, Any]:
    """A source's content with the entity, columns and block that its kind gives it.

    Raises:
        ValueError: a person wrote what the kind knows.
    """
    entity, kind = str(rule.shaped), content["kind"]
    for key in ("entity", "columns", "records_path"):
        if content.get(key):
            raise ValueError(f"{key}: kind {kind} knows its records; remove the key")
    filled = {**content, "entity": entity, "columns": {name: name for name in ENTITIES[entity]}}
    if rule.group == "calls":
        filled = {"header": False, "delimiter": ",", **filled}
    if kind == "whatsapp":
        filled = {"attributes": ["type", "media_id", "mime_type"], **filled}
    return {**filled, str(rule.group): content.get(str(rule.group)) or {}}
