"""All kinds whose block stands for several sources, in one company: a run, a change, a later run."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.carelake.sources.faulty_api import serving
from tests.carelake.sources.live.states import AFTER, BEFORE, STATES
from tests.carelake.sources.services import KINDS, block_of
from tests.commands import carelake, rows


@pytest.mark.slow
def test_a_run_brings_every_kind_into_the_marts_and_a_later_one_its_deletions_and_merges(
    tmp_path: Path,
) -> None:
    """All blocks of the pages in one company: accounts balance, merged contacts are one customer."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}
    env |= {
        "CARELAKE_HOME": str(tmp_path / "home"),
        "CARELAKE_SOURCES": str(tmp_path / "sources.yml"),
        "CARELAKE_PEPPER": "p",
    }
    with ExitStack() as stack:
        text, services = "", {}
        for kind, rule in KINDS.items():
            services[kind] = stack.enter_context(serving(rule.service())).service
            url = services[kind].url
            block = block_of(rule.page, kind)
            for host in rule.hosts:
                block = block.replace(host, url)
            text += block
            name = str(re.search(r"connection: (\w+)", block)[1])  # type: ignore[index]
            env[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(rule.connection).replace("URL", url)
        (tmp_path / "sources.yml").write_text(f"sources:\n{text}", encoding="utf-8")
        for service in services.values():
            service.before()
        carelake("run", env=env, timeout=600)
        first = {kind: STATES[kind](env) for kind in KINDS}
        for service in services.values():
            service.after()
        carelake("run", env=env, timeout=600)
        said = "select source_name, n_rejected, is_balanced, error from source_runs"
        assert (
            rows(f"{said} where not is_balanced or n_rejected > 0 or error is not null", env) == []
        )
        then = {kind: STATES[kind](env) for kind in KINDS}
    for kind in KINDS:
        assert first[kind] == BEFORE[kind], kind
        assert then[kind] == AFTER[kind], kind
