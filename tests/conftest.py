"""What every test may need: a clean environment, a small company, a home."""

from __future__ import annotations

import fcntl
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared" / "data"
PEPPER = "test-pepper"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """What a run changes of its process ends with the test: the umask, and MLflow's addresses.

    MLflow writes the addresses it is given into the environment, where programs that later tests
    start would find another home's registry.
    """
    before, mlflow = os.umask(0o022), _mlflow_variables()
    os.umask(before)
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        os.umask(before)
        for key in _mlflow_variables().keys() - mlflow.keys():
            del os.environ[key]
        os.environ.update(mlflow)


def _mlflow_variables() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the machine's home or settings, and none reaches out."""
    for key in list(os.environ):
        if key.startswith(("CARELAKE", "AIRFLOW")):
            monkeypatch.delenv(key)
    monkeypatch.setenv("CARELAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CARELAKE_PEPPER", PEPPER)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., Context]:
    """Write a source list, make a home for it, and give the context."""
    from carelake.warehouse.setup import initialise

    def make(sources: str, home: str = "home", settings: str = "") -> Context:
        (tmp_path / "sources.yml").write_text(textwrap.dedent(sources), encoding="utf-8")
        (tmp_path / "carelake.yml").write_text(textwrap.dedent(settings), encoding="utf-8")
        ctx = Context(
            Home(tmp_path / home),
            Settings.load(tmp_path / "carelake.yml"),
            SourceList.load(tmp_path / "sources.yml"),
            "test-run",
        )
        initialise(ctx)
        return ctx

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that need it skip, saying so, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data sets are not on this machine (../shared/data)")
    return SHARED


def clean_variables() -> dict[str, str]:
    """The environment without what would lead a process to a home."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("CARELAKE", "AIRFLOW"))}


class SampleRun:
    """One full run over the made-up company, shared by the tests that only read it."""

    def __init__(self, root: Path) -> None:
        self.company = root / "company"
        self.home = root / "home"
        self.output = ""

    @property
    def environment(self) -> dict[str, str]:
        """For a `carelake` process on this home."""
        return {
            **clean_variables(),
            "CARELAKE_HOME": str(self.home),
            "CARELAKE_SOURCES": str(self.company / "sources.yml"),
            "CARELAKE_PEPPER": PEPPER,
        }


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleRun]:
    """`carelake sample` and `carelake run`, once for the whole session, whoever of its workers comes first."""
    from tests.commands import carelake

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sample"
    root.mkdir(exist_ok=True)
    run, output = SampleRun(root), root / "output.txt"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            carelake("sample", str(run.company), "--customers", "250", env=run.environment)
            said = carelake("run", env=run.environment).stdout
            output.write_text(said, encoding="utf-8")
    run.output = output.read_text(encoding="utf-8")
    yield run
