from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.quarantine import decide, replay

SOURCE = """
    sources:
      - {name: notes, kind: files, path: inbox/*.json, format: json, entity: communications, columns: {communication_id: id}}
"""


@pytest.fixture
def held(tmp_path: Path, make_context: Callable[..., Context]) -> Context:
    """A home whose only batch is held, because its file is cut."""
    ctx = make_context(SOURCE)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.json").write_text('[{"id": 1}')
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    load(ctx)
    return ctx


def status(ctx: Context) -> str:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        (row,) = con.execute("select status from ops.ledger").fetchall()
        return str(row[0])


@pytest.mark.parametrize("word", ["released", "discarded"])
def test_a_persons_word_on_a_held_batch_is_recorded_once(held: Context, word: str) -> None:
    assert status(held) == "held"
    decide(held, "notes-000001", word)
    assert status(held) == word
    with pytest.raises(ConfigError, match=f"is {word}, not held; held now: none"):
        decide(held, "notes-000001", word)


def test_an_unknown_batch_is_named_with_those_that_are_held(held: Context) -> None:
    with pytest.raises(ConfigError, match="'nobody-000001' is not known; held now: notes-000001"):
        decide(held, "nobody-000001", "released")


def test_a_discarded_batch_can_be_brought_back(held: Context) -> None:
    decide(held, "notes-000001", "discarded")
    landed = next(held.home.landing.rglob("*a.json"))
    landed.chmod(0o600)
    landed.write_text('[{"id": 1}]')
    (result,) = replay(held, ["notes-000001"])
    assert result.n_raw == 1
    assert status(held) == "arrived"
