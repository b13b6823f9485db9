"""The same data give the same marts, row for row, however and whenever they come to be built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from carelake.landing import manifests
from tests.commands import carelake, rows
from tests.conftest import SampleRun

CONFIGURATION = ("sources.yml", "carelake.yml", "followup.yml")


def fingerprint(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(carelake("fingerprint", env=env).stdout)
    return found


def is_same(run: SampleRun, env: Mapping[str, str]) -> None:
    expected, found = fingerprint(run.environment), fingerprint(env)
    assert found.keys() == expected.keys()
    assert {k: (v, found[k]) for k, v in expected.items() if found[k] != v} == {}
    assert expected["fct_conversations"]["rows"] > 500
    assert expected["satisfaction_predictions"]["rows"] > 500


def elsewhere(run: SampleRun, root: Path, *, with_files: bool) -> dict[str, str]:
    """An empty home, and the company's configuration in another place."""
    root.mkdir(exist_ok=True)
    company = root / "moved"
    if with_files:
        shutil.copytree(run.company / "inbox", company / "inbox")
    company.mkdir(exist_ok=True)
    for name in CONFIGURATION:
        if (run.company / name).exists():
            shutil.copy(run.company / name, company / name)
    return {
        **run.environment,
        "CARELAKE_HOME": str(root / "home"),
        "CARELAKE_SOURCES": str(company / "sources.yml"),
    }


@pytest.mark.slow
def test_all_that_is_derived_can_be_dropped_and_comes_back_the_same(
    sample_run: SampleRun, tmp_path: Path
) -> None:
    # a copy, for other tests look at the home
    shutil.copytree(sample_run.home, tmp_path / "home", symlinks=True)
    env = {**sample_run.environment, "CARELAKE_HOME": str(tmp_path / "home")}
    done = carelake("rebuild", env=env)
    assert "nothing changed; version 1 stays" in done.stdout
    dropped = int(done.stderr.split(" tables dropped")[0].split()[-1])
    assert dropped > 60
    is_same(sample_run, env)


@pytest.mark.slow
def test_the_landing_zone_alone_gives_the_marts_in_whatever_order_it_is_loaded(
    sample_run: SampleRun, tmp_path: Path
) -> None:
    env = elsewhere(sample_run, tmp_path, with_files=False)
    shutil.copytree(sample_run.home / "landing", tmp_path / "home" / "landing")
    carelake("init", env=env)
    for source in ("web_chat", "owner_records", "crm_contacts"):
        carelake("load", source, env=env)
    assert "nothing new (" in carelake("run", env=env).stderr.splitlines()[0]
    n_batches = rows("select count(*) as n from source_runs", env)
    assert n_batches == rows("select count(*) as n from source_runs", sample_run.environment)
    is_same(sample_run, env)


@pytest.mark.slow
def test_sources_may_come_in_another_order_and_a_batch_as_two(
    sample_run: SampleRun, tmp_path: Path
) -> None:
    env = elsewhere(sample_run, tmp_path, with_files=True)
    inbox = tmp_path / "moved" / "inbox"
    carelake("init", env=env)
    late = [
        path
        for pattern in ("phone/calls-*.csv", "chat/messages-*")
        for path in sorted(inbox.glob(pattern))[1:]
    ]
    assert len(late) > 2
    for path in late:
        path.rename(path.with_name("late-" + path.name))
    carelake("extract", "web_chat", env=env)
    carelake("extract", "call_records", env=env)
    carelake("load", env=env)
    for path in late:
        path.with_name("late-" + path.name).rename(path)
    for source in ("orders", "support_mailbox", "csat_surveys"):
        carelake("extract", source, env=env)
    carelake("run", env=env)
    landed = {m.source: m.extracted_at for m in reversed(manifests(tmp_path / "home" / "landing"))}
    before = {m.source: m.extracted_at for m in reversed(manifests(sample_run.home / "landing"))}
    assert sorted(landed, key=landed.__getitem__) != sorted(before, key=before.__getitem__)
    n_batches = {
        source["source"]: source["batches"]
        for source in json.loads(carelake("status", "--format", "json", env=env).stdout)["sources"]
    }
    assert (n_batches["web_chat"], n_batches["call_records"]) == (2, 2)
    is_same(sample_run, env)


@pytest.mark.slow
def test_another_machine_gives_the_same_a_year_later(sample_run: SampleRun, tmp_path: Path) -> None:
    env = {
        **elsewhere(sample_run, tmp_path, with_files=True),
        "PYTHONHASHSEED": "99",
        "TZ": "America/St_Johns",
        "CARELAKE__BUILD_THREADS": "1",
    }
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is not None:
        # the clock that tells the time of day; the one that measures how long things take stays
        env |= {
            "LD_PRELOAD": str(library),
            "FAKETIME": "+400d",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
    carelake("run", env=env)
    is_same(sample_run, env)
    if library is None:
        pytest.skip("the same on another machine; without faketime no year could pass")
    first, later = (manifests(home / "landing")[0] for home in (sample_run.home, tmp_path / "home"))
    assert (later.extracted_at - first.extracted_at).days in (399, 400, 401)
