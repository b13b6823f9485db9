from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from carelake.errors import ConfigError
from carelake.source_list import SourceList

GOOD = """
sources:
  - name: shop_support
    kind: files
    path: inbox/*.csv
    format: csv
    entity: conversations
    columns: {conversation_id: id, opened_at: opened}
"""


def load(tmp_path: Path, text: str) -> SourceList:
    path = tmp_path / "sources.yml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return SourceList.load(path)


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    source = load(tmp_path, GOOD).sources[0]
    assert (source.mode, source.dedupe_rule, source.encoding) == ("append", "key", "utf-8")
    assert source.time_formats("opened_at") == []


def test_without_an_id_every_row_counts_unless_told_otherwise(tmp_path: Path) -> None:
    source = load(tmp_path, GOOD.replace("conversation_id: id, ", "")).sources[0]
    assert not source.has_id
    assert source.dedupe_rule == "none"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("name: shop_support", "name: Shop-Support"), ["shop-support", "snake_case"]),
        (("format: csv", "format: cvs"), ["shop_support", "format", "csv"]),
        (("entity: conversations", "entity: chats"), ["entity", "communications"]),
        (("opened_at: opened", "opend_at: opened"), ["opend_at", "no such column", "opened_at"]),
        (("path: inbox/*.csv", "paht: inbox/*.csv"), ["paht", "did you mean path"]),
        (
            ("entity: conversations", "entity: conversations\n    colour: red"),
            ["colour", "unknown key"],
        ),
        (
            ("format: csv", "format: csv\n    timezone: Mars/Base"),
            ["timezone", "Mars/Base", "Asia/Shanghai"],
        ),
        (("conversation_id: id, ", ""), ["dedupe", "conversation_id"]),
        (("sources:", "sources: [}"), ["sources.yml", "line", "YAML"]),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_and_mend(
    tmp_path: Path, change: tuple[str, str], parts: list[str]
) -> None:
    text = GOOD.replace(*change)
    if "dedupe" in parts:
        text = text.replace("format: csv", "format: csv\n    dedupe: key")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    assert "sources.yml" in message
    for part in parts:
        assert part.lower() in message.lower(), message


def test_an_attribute_that_no_mart_could_show_is_not_promised(tmp_path: Path) -> None:
    agents = GOOD.replace("entity: conversations", "entity: agents").replace(
        "{conversation_id: id, opened_at: opened}",
        "{agent_id: id}\n    attributes: [{name: shift, promote: true}]",
    )
    with pytest.raises(ConfigError, match="attributes.shift: promote works for communications"):
        load(tmp_path, agents)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shop_support.*twice"):
        load(tmp_path, GOOD + GOOD.split("sources:")[1])


def test_an_unknown_source_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source 'shop'.*shop_support"):
        load(tmp_path, GOOD).select(["shop"])
