from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from carelake.entities import ENTITIES
from carelake.errors import CarelakeError, ConfigError
from carelake.followup.rules import SHIPPED, FollowUpRules
from carelake.settings import Settings
from carelake.source_list import SourceList
from tests.hostile.bench import COUNTED, bounded
from tests.hostile.conftest import fuzz
from tests.hostile.texts import CHANGES, NASTY, mutate

VALID = {
    "sources.yml": b"""sources:
  - &a {name: calls, kind: files, path: 'in/*.csv', format: csv, entity: communications, timezone: Asia/Shanghai,
     columns: {communication_id: id, sent_at: at}, values: {direction: {in: inbound}}, timestamps: ["%d/%m/%Y"], attributes: [mood]}
  - <<: *a
    name: chats
""",
    "carelake.yml": b"reporting_timezone: UTC\nbusiness_hours: {mon: ['09:00-18:00']}\nholidays: [2024-01-01]\nvalue_floor: 0.1\nml: {min_labels: 60}\n",
    "followup.yml": SHIPPED.read_bytes(),
}
LOADERS = {
    "sources.yml": SourceList.load,
    "carelake.yml": Settings.load,
    "followup.yml": FollowUpRules.load,
}
KEYS = {
    "sources.yml": ["sources", "name", "kind", "path", "format", "columns", "values", "constants", "timestamps", "timezone", "encoding",
                    "delimiter", "quote", "attributes", "records_path", "max_line_bytes", "entity", *ENTITIES["orders"][:4]],
    "carelake.yml": list(Settings.model_fields),
    "followup.yml": [*FollowUpRules.model_fields, "code", "when", "reason", "owner", "urgency", "channel", "priority"],
}  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.dates(), st.binary(max_size=5), st.sampled_from(NASTY),
    st.sampled_from(["files", "mbox", "csv", "orders", "in/*", "UTC", "communications", "../x", "base64", "1 = 1", "{channel}", "{", "09:00-18:00"]),
)  # fmt: skip


def trees(name: str) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.sampled_from(KEYS[name]), SCALARS.filter(lambda key: key == key))
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=20,
    )


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(VALID)))
    if draw(st.booleans()):
        return name, mutate(VALID[name], draw(CHANGES))
    if name == "sources.yml" and draw(st.booleans()):
        source = {
            "name": "calls",
            "kind": "files",
            "path": "in/*",
            "format": "csv",
            "entity": "orders",
            "columns": {"order_id": "id"},
        }
        tree: Any = {"sources": [{**source, draw(st.sampled_from(KEYS[name])): draw(trees(name))}]}
    else:
        tree = draw(st.dictionaries(st.sampled_from(KEYS[name]), trees(name), max_size=5))
    return name, yaml.safe_dump(tree, allow_unicode=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )


@fuzz(share=0.06, per_example=1)
@given(content=contents())
def test_a_settings_file_is_taken_or_refused_in_one_line_that_names_it(
    tmp_path_factory: Any, content: tuple[str, bytes]
) -> None:
    name, text = content
    folder: Path = tmp_path_factory.getbasetemp()
    path = folder / name
    path.write_bytes(text)
    COUNTED[name] += 1
    began = time.monotonic()
    with bounded(5):
        try:
            LOADERS[name](path)
        except CarelakeError as error:
            assert isinstance(error, ConfigError)
            said = str(error)
            assert name in said and len(said) < 1500, (text, said)
            assert len(said.splitlines()) == 1, (text, said)
    assert time.monotonic() - began < 5
