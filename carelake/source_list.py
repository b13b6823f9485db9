"""`sources.yml`: every source there is.

Both extract and load read this file, so it stands above both. Importing it is cheap.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError, model_validator

from carelake.errors import ConfigError
from carelake.setting_groups.base import Strict
from carelake.settings import Home, explain, read_yaml
from carelake.source import Source
from carelake.source_parts import expand


class SourceList(Strict):
    """The whole of `sources.yml`.

    Attributes:
        blocks: as a person wrote them; `sources` are what they stand for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    blocks: list[Source] = Field(default=[], alias="sources")
    path: Path = Field(default=Path("sources.yml"), exclude=True)

    @model_validator(mode="after")
    def _unique(self) -> SourceList:
        blocks: dict[str, str] = {block.name: block.name for block in self.blocks}
        if len(blocks) < len(self.blocks):
            names = [block.name for block in self.blocks]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"name '{twice}' stands twice; rename one")
        for block in self.blocks:
            if len(block.name) > 40 and block.rule.has_objects:
                raise ValueError(
                    f"name '{block.name}' is too long for kind {block.kind}; 40 letters"
                )
        for source in self.sources:
            if blocks.setdefault(source.name, source.block) != source.block:
                raise ValueError(
                    f"name '{source.name}' stands twice: '{source.block}' makes a source of that "
                    "name; rename one"
                )
        return self

    @cached_property
    def sources(self) -> list[Source]:
        """Every source there is, in order: a block of a service stands for several."""
        return [source for block in self.blocks for source in expand(block)]

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
        """The named sources, all without names; the name of a block means all it stands for.

        Raises:
            ConfigError: a name that is not in the list.
        """
        if not names:
            return list(self.sources)
        by_name: dict[str, list[Source]] = {}
        for source in self.sources:
            by_name.setdefault(source.block, []).append(source)
            if source.name != source.block:
                by_name[source.name] = [source]
        for name in names:
            if name not in by_name:
                known = ", ".join(by_name) or "none yet"
                raise ConfigError(f"{self.path}: no source '{name}'; there are: {known}")
        chosen = [source for name in names for source in by_name[name]]
        return list({source.name: source for source in chosen}.values())


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
