from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carelake.attempts import failed_attempts, note_attempt


def attempt(outcome: str, message: str = "") -> dict[str, Any]:
    return {
        "source": "crm", "outcome": outcome, "message": message, "n_files": 0, "n_bytes": 0,
        "since": None, "until": None, "seconds": 0.5,
    }  # fmt: skip


def taken(state: Path) -> list[str]:
    with failed_attempts(state) as found:
        return [one["message"] for one in found]


def test_failed_attempts_are_handed_over_once_in_order_and_others_never(tmp_path: Path) -> None:
    for outcome in ("failed", "nothing_new", "extracted", "failed"):
        note_attempt(tmp_path, attempt(outcome, f"it {outcome}"))
    newest = json.loads((tmp_path / "extracts" / "crm.json").read_text())
    assert newest["outcome"] == "failed"
    assert taken(tmp_path) == ["it failed", "it failed"]
    assert taken(tmp_path) == []


def test_a_killed_taker_loses_nothing_nor_does_a_torn_line(tmp_path: Path) -> None:
    note_attempt(tmp_path, attempt("failed", "first"))
    with pytest.raises(KeyboardInterrupt), failed_attempts(tmp_path):
        raise KeyboardInterrupt
    inbox = tmp_path / "extracts" / "crm.failed.jsonl"
    inbox.write_text('{"source": "crm", "mess', encoding="utf-8")  # the writer was killed
    note_attempt(tmp_path, attempt("failed", "second"))
    assert taken(tmp_path) == ["first"]
    assert taken(tmp_path) == ["second"]
