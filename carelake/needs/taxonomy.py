"""`needs.yml`, checked before anything else reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator

from carelake.errors import ConfigError
from carelake.setting_groups.base import Strict
from carelake.settings import explain, read_yaml

SHIPPED = Path(__file__).with_name("needs.yml")
FILE = "needs.yml"
UNKNOWN = "unknown"
"""The need of conversations that no rule knows."""

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=60)]


class Keywords(Strict):
    """What customers write, in both languages; upper and lower case are the same."""

    en: list[Word] = Field(default=[], description="Words begin where a word begins")
    zh: list[Word] = Field(default=[], description="Found anywhere in a text")


class Need(Strict):
    """One thing customers come for."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="Short name, snake_case")
    name: str = Field(min_length=1, description="What readers see")
    name_zh: str | None = Field(default=None, description="The same in Chinese")
    is_presale: bool = Field(default=False, description="Whether somebody asks before buying")
    categories: list[Word] = Field(default=[], description="What sources call it")
    keywords: Keywords = Keywords()


class Taxonomy(Strict):
    """The whole of `needs.yml`."""

    needs: list[Need] = Field(min_length=1)

    @field_validator("needs")
    @classmethod
    def _told_apart(cls, value: list[Need]) -> list[Need]:
        codes = [need.code for need in value]
        for code in codes:
            if codes.count(code) > 1 or code == UNKNOWN:
                raise ValueError(
                    f"'{code}' is there twice, or kept for what no rule knows; rename one"
                )
        owners: dict[tuple[str, str], str] = {}
        for need in value:
            for kind, word in rules_of(need):
                if owners.setdefault((kind, word), need.code) != need.code:
                    raise ValueError(
                        f"{kind} '{word}' is of {owners[kind, word]} and of {need.code}; keep one"
                    )
        return value


def rules_of(need: Need) -> Iterator[tuple[str, str]]:
    """What a need is known by, each rule once: its kind, and the word in lower case."""
    yield from dict.fromkeys(
        [("category", word.lower()) for word in need.categories]
        + [("en", word.lower()) for word in need.keywords.en]
        + [("zh", word.lower()) for word in need.keywords.zh]
    )


def load_taxonomy(config_dir: Path) -> Taxonomy:
    """The company's `needs.yml` beside its source list, else the one shipped.

    Raises:
        ConfigError: naming file, key and mend.
    """
    own = config_dir / FILE
    path = own if own.exists() else SHIPPED
    try:
        return Taxonomy.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(explain(path, error, known=Need.model_fields)) from error


def from_categories(categories: Iterable[str], known: Taxonomy) -> str:
    """The text of a first `needs.yml`: the known needs, and one for each category none of them knows.

    Args:
        categories: as sources write them; the most frequent first.
    """
    named = {word for need in known.needs for kind, word in rules_of(need) if kind == "category"}
    entries = [need.model_dump(exclude_defaults=True) for need in known.needs]
    codes = {need.code for need in known.needs} | {UNKNOWN}
    for category in categories:
        word = category.strip()
        if len(word) < 2 or len(word) > 60 or word.lower() in named:
            continue
        named.add(word.lower())
        entries.append({"code": _code(word, codes), "name": word, "categories": [word]})
    head = (
        "# What customers come for. A conversation has the needs whose categories its source names, and those\n"
        "# whose keywords its customer wrote. Merge, rename and add; then `carelake run`.\n"
    )
    return head + yaml.safe_dump({"needs": entries}, allow_unicode=True, sort_keys=False, width=100)


def _code(word: str, taken: set[str]) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in word.lower()).strip("_")
    stem = plain[:36] if plain[:1].isalpha() else "need"
    code, number = stem, 2
    while code in taken:
        code, number = f"{stem}_{number}", number + 1
    taken.add(code)
    return code
