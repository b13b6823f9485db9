"""Transcripts of calls: WebVTT and JSON of several makers, with both sides told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.errors import ConfigError
from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.ledger import BatchResult
from carelake.warehouse.load import load

Make = Callable[..., Context]
VTT = """WEBVTT - a call

NOTE written by a machine

1
00:00:01.000 --> 00:00:03.500
<v Agent Anna>Good morning,
this is Anna.</v>

00:00:04.000 --> 00:00:06.000 align:start
<v.loud Li Na>Where is my &lt;order&gt; &amp; my <b>money</b>?</v>
<v Agent Anna>One moment.
"""


def bring(
    make_context: Make, tmp_path: Path, files: dict[str, Any], more: str = ""
) -> tuple[BatchResult, dict[str, tuple[Any, ...]]]:
    """Load transcripts; gives call id -> (customer, agent, whole text)."""
    for name, content in files.items():
        path = tmp_path / "said" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
    ctx = make_context(
        f"sources: [{{name: said, kind: transcripts, path: 'said/**/*'{', ' + more if more else ''}}}]"
    )
    extract_source(ctx.sources.sources[0], ctx.config_dir, ctx.home.landing)
    result = load(ctx)[0]
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        rows = con.execute("""
            select call_id, customer_text, agent_text, text, transcript_id, turns, language from raw.transcripts
        """).fetchall()
    return result, {str(row[0]): row[1:] for row in rows}


def test_webvtt_tells_the_sides_by_voices(make_context: Make, tmp_path: Path) -> None:
    result, said = bring(
        make_context, tmp_path, {"2026/1690325492.2.vtt": VTT.replace("\n", "\r\n")},
        "transcripts: {agent: [agent anna]}",
    )  # fmt: skip
    customer, agent, text, ident, turns, _ = said["1690325492.2"]
    assert (result.n_physical, result.n_rejects) == (1, 0)
    assert customer == "Where is my <order> & my money?"
    assert agent == "Good morning, this is Anna.\nOne moment."
    assert text.splitlines()[1] == "customer: Where is my <order> & my money?"
    assert ident == "said/2026/1690325492.2.vtt"
    assert json.loads(turns)[1] == {
        "side": "customer", "speaker": "Li Na", "at": "00:00:04.000",
        "text": "Where is my <order> & my money?",
    }  # fmt: skip


def test_webvtt_without_voices_names_sides_before_a_colon_or_nobody(
    make_context: Make, tmp_path: Path
) -> None:
    cue = "00:01.000 --> 00:02.000\n"
    _, said = bring(make_context, tmp_path, {
        "a.vtt": f"WEBVTT\n\n{cue}客服：您好\n\n{cue}客户: 订单 12:30 到了吗",
        "b.vtt": f"WEBVTT\n\n{cue}Note: nobody knows who speaks",
    })  # fmt: skip
    assert said["a"][:2] == ("订单 12:30 到了吗", "您好")
    assert said["b"][:3] == (None, None, "Note: nobody knows who speaks")


@pytest.mark.parametrize(
    ("document", "more"),
    [
        ({"call_id": "c1", "turns": [{"role": "agent", "text": "Hi"}, {"role": "Customer", "text": "Lost"}]}, ""),
        ({"segments": [{"speaker": "SPEAKER_00", "text": " Hi", "start": 0.5}, {"speaker": "SPEAKER_01", "text": "Lost"}]},
         "transcripts: {agent: [SPEAKER_00]}"),
        ({"meta": {"call": "c1"}, "utterances": [{"speaker": "A", "text": "Hi"}, {"speaker": "B", "text": "Lost"}]},
         "transcripts: {call_id: meta.call, customer: [b]}"),
        ([{"participant": "operator", "content": "Hi"}, {"participant": "客户", "content": "Lost"}], ""),
    ],
    ids=["turns", "segments", "utterances", "a bare list"],
)  # fmt: skip
def test_json_of_several_makers(
    make_context: Make, tmp_path: Path, document: Any, more: str
) -> None:
    _, said = bring(make_context, tmp_path, {"c1.json": document}, more)
    assert said["c1"][:2] == ("Lost", "Hi")


def test_a_line_is_a_transcript_in_json_lines_and_a_broken_one_is_a_reject(
    make_context: Make, tmp_path: Path
) -> None:
    lines = [
        json.dumps({"call_id": f"c{i}", "language": "en", "turns": [{"role": "user", "text": f"No {i}"}]})
        for i in range(3)
    ]  # fmt: skip
    result, said = bring(
        make_context,
        tmp_path,
        {"day.jsonl": "\n".join([*lines, '{"torn'])},
    )
    assert (result.n_physical, result.n_raw, result.n_rejects) == (4, 3, 1)
    assert {call: row[0] for call, row in said.items()} == {
        "c0": "No 0",
        "c1": "No 1",
        "c2": "No 2",
    }
    assert {row[3] for row in said.values()} == {f"said/day.jsonl#{i}" for i in (1, 2, 3)}


def test_a_name_gives_the_call_by_a_pattern_and_what_is_none_is_said(
    make_context: Make, tmp_path: Path
) -> None:
    turns = {"turns": [{"role": "customer", "text": "Hello"}]}
    result, said = bring(
        make_context,
        tmp_path,
        {"in-1001-1690325492.2.json": turns, "torn.json": "{", "x.vtt": "no cue"},
        r"transcripts: {name: '-([\d.]+)$'}",
    )
    assert (result.n_raw, result.n_rejects, result.held_reason) == (1, 2, None)
    assert list(said) == ["1690325492.2"]
    result, _ = bring(
        lambda text: make_context(text, home="other"), tmp_path, {"notes.txt": "Hello"}
    )
    assert "ends in .vtt, .json or .jsonl, not .txt" in str(result.held_reason)


def test_a_pattern_without_a_group_is_refused(make_context: Make) -> None:
    with pytest.raises(ConfigError, match="has no group; put the call's id in brackets"):
        make_context("sources: [{name: s, kind: transcripts, path: a, transcripts: {name: '.*'}}]")
