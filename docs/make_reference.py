"""Write the JSON Schemas of the files a company writes: sources, settings, follow-up rules, needs.

    python docs/make_reference.py

An editor that knows JSON Schema completes and checks the files as they are typed; the first line
`# yaml-language-server: $schema=<path>` of a YAML file names the schema.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from carelake.entities import ENTITIES, TIME_COLUMNS
from carelake.followup.rules import FollowUpRules
from carelake.needs.taxonomy import Taxonomy
from carelake.settings import Settings
from carelake.source_list import SourceList

DOCS = Path(__file__).parent
FILES: dict[str, tuple[str, type[BaseModel]]] = {
    "sources.schema.json": ("sources.yml: what Carelake reads", SourceList),
    "settings.schema.json": ("carelake.yml: how Carelake behaves", Settings),
    "followup.schema.json": ("followup.yml: whom to contact next", FollowUpRules),
    "needs.schema.json": ("needs.yml: what customers come for", Taxonomy),
}


def schema(name: str) -> str:
    """The text of one schema file."""
    title, model = FILES[name]
    content = model.model_json_schema(mode="validation")
    # where a file lies is found out by reading it, never written in it
    content["properties"].pop("path", None)
    content["title"] = title
    content["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    if model is SourceList:
        _say_which_columns(content["$defs"]["Source"])
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _say_which_columns(source: dict[str, object]) -> None:
    """An entity decides which columns there are: one condition each."""
    properties = source["properties"]
    assert isinstance(properties, dict)
    properties["attributes"]["items"] = {
        "anyOf": [{"type": "string"}, properties["attributes"]["items"]]
    }
    # YAML reads 1, yes and 2024 as other things than text; they are taken as text
    scalar = {"type": ["string", "number", "boolean"]}
    properties["constants"]["additionalProperties"] = scalar
    properties["values"]["additionalProperties"] = {
        "type": "object",
        "additionalProperties": scalar,
    }
    source["allOf"] = [
        {
            "if": {"properties": {"entity": {"const": entity}}, "required": ["entity"]},
            "then": {
                "properties": {
                    **{key: _only(columns) for key in ("columns", "constants", "values")},
                    "timestamps": {
                        "if": {"type": "object"},
                        "then": _only(tuple(c for c in columns if c in TIME_COLUMNS)),
                    },
                }
            },
        }
        for entity, columns in ENTITIES.items()
    ]


def _only(columns: tuple[str, ...]) -> dict[str, object]:
    return {"propertyNames": {"enum": list(columns)}}


def main() -> None:
    """Write every schema."""
    for name in FILES:
        (DOCS / name).write_text(schema(name), encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
