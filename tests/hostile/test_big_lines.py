"""Lines of 100 MB, in a process of their own whose memory is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIG = 100_000_000
LIMIT = 2_000_000_000
SOURCES = """
sources:
  - {name: table, kind: files, path: 'in/table/*', format: csv, entity: communications, columns: {communication_id: id, body: text}}
  - {name: lines, kind: files, path: 'in/lines/*', format: jsonl, entity: communications, columns: {communication_id: id, body: text}}
  - {name: mails, kind: mbox, path: 'in/mails/*'}
"""
CONTENTS = {
    "table": (b"id,text\n1,a\n2,", b"\n3,c\n"),
    "lines": (b'{"id":"1","text":"a"}\n{"id":"2","text":"', b'"}\n{"id":"3","text":"c"}\n'),
    "mails": (
        b"From x\nMessage-ID: <1>\nFrom: a@b.c\n\na\n\nFrom x\nFrom: a@b.c\n\n",
        b"\n\nFrom x\nMessage-ID: <3>\nFrom: a@b.c\n\nc\n",
    ),
}
PROGRAM = """
import json, resource, sys
from pathlib import Path
from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.setup import initialise
from carelake.warehouse.quarantine import show
root = Path(sys.argv[1])
ctx = Context(Home(root / "home"), Settings(), SourceList.load(root / "sources.yml"))
initialise(ctx)
for source in ctx.sources.select([sys.argv[2]]):
    extract_source(source, root, ctx.home.landing)
(batch,) = load(ctx, [sys.argv[2]])
print(json.dumps({"raw": batch.n_raw, "reasons": [r.reason for r in show(ctx, None, 9)], "held": batch.held_reason,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("kind", ["one line", "a quoted text", "many lines"])
def test_a_line_of_100_mb_costs_itself_only_and_little_memory(
    tmp_path: Path, name: str, kind: str
) -> None:
    before, after = CONTENTS[name]
    (tmp_path / "sources.yml").write_text(SOURCES)
    (tmp_path / "in" / name).mkdir(parents=True)
    middle = b"x" * BIG
    if kind == "a quoted text":
        if name != "table":
            pytest.skip("quotes are a matter of CSV")
        middle = b'"' + b"x\n" * (BIG // 2) + b'"'
    elif kind == "many lines":
        if name != "mails":
            pytest.skip("only a mail has lines of its own")
        middle = b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" * (BIG // 50 + 10)
    (tmp_path / "in" / name / "1").write_bytes(before + middle + after)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), name],
        capture_output=True, text=True, check=True, timeout=300, env={**os.environ, "CARELAKE_PEPPER": "p"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] < LIMIT, f"{found['peak']:,}"
    print(f"{name}, {kind}: {found['peak'] / 1e6:,.0f} MB")
    if kind == "a quoted text":
        # fifty million lines that are no records: too many to be kept one by one
        assert "more than 500,000 of its records are broken" in found["held"]
    else:
        assert found["held"] is None and found["raw"] == 2 and len(found["reasons"]) == 1
        assert "longer than" in found["reasons"][0] or "larger than" in found["reasons"][0]
