"""While newer data is held back, the published marts say so themselves, and only then."""

from __future__ import annotations

import io
from collections.abc import Callable

import duckdb
import pytest

from carelake import pipeline
from carelake.errors import RunFailed
from carelake.progress import Progress
from carelake.settings import Context
from carelake.steps import StepResult
from carelake.warehouse import banner
from carelake.warehouse.banner import raise_banner, read_banner
from carelake.warehouse.publish import current_version, publish, rollback, versions
from carelake.warehouse.published import published_fingerprint
from tests.small_marts import block, edition, write


def told(ctx: Context) -> tuple[int, str | None]:
    """(version, banner) as a reader of the marts finds them."""
    marts = str(ctx.home.published / "marts.duckdb")
    with duckdb.connect(marts, read_only=True) as con:
        (row,) = con.execute("select version, banner from meta.publication").fetchall()
        return row[0], row[1]


def test_a_banner_is_a_version_of_its_own_with_the_same_data(ctx: Context) -> None:
    publish(ctx)
    before = published_fingerprint(ctx.home)
    assert told(ctx) == (1, None)
    assert raise_banner(ctx, "gate marts: too few rows") == 2
    version, text = told(ctx)
    assert version == 2
    assert text is not None and text == read_banner(ctx.home)
    assert text.startswith("since 20")
    assert text.endswith(" UTC newer data is held back because gate marts: too few rows")
    assert published_fingerprint(ctx.home) == before
    files = {p.name: p.stat() for p in (ctx.home.published / "current").resolve().iterdir()}
    assert {s.st_mode & 0o777 for name, s in files.items() if name != "private.duckdb"} == {0o444}
    assert files["private.duckdb"].st_mode & 0o777 == 0o400
    assert files["notes.parquet"].st_nlink == 2  # nothing but the marts' file was copied
    with duckdb.connect(str(ctx.home.published / "versions" / "000001" / "marts.duckdb")) as con:
        assert con.execute("select banner from meta.publication").fetchall() == [(None,)]


def test_the_same_reason_is_told_once_and_another_keeps_the_first_moment(ctx: Context) -> None:
    publish(ctx)
    raise_banner(ctx, "too few rows")
    since = str(read_banner(ctx.home)).split(" newer")[0]
    assert raise_banner(ctx, "too few rows") is None
    assert current_version(ctx.home) == 2
    assert raise_banner(ctx, "too many rows") == 3
    assert read_banner(ctx.home) == f"{since} newer data is held back because too many rows"
    for number in range(9):
        raise_banner(ctx, f"reason {number}")
    assert versions(ctx.home) == [1, 11, 12]  # the data, the banner, and the one before it


def test_the_next_good_publication_has_none_even_when_the_data_are_the_same(ctx: Context) -> None:
    publish(ctx)
    raise_banner(ctx, "too few rows")
    published = publish(ctx)
    assert (published.published, told(ctx)) == (True, (3, None))
    assert publish(ctx).published is False


def test_rollback_goes_to_older_data_and_not_to_the_same_without_a_banner(ctx: Context) -> None:
    publish(ctx)
    with pytest.raises(RunFailed, match="no earlier version"):
        raise_banner(ctx, "too few rows")
        rollback(ctx)
    write(ctx, 2)
    publish(ctx)
    raise_banner(ctx, "too few rows")
    assert rollback(ctx).version == 1
    assert (edition(ctx), told(ctx)) == (1, (1, None))


def test_a_rollback_holds_banners_too_until_it_is_released(ctx: Context) -> None:
    publish(ctx)
    write(ctx, 2)
    publish(ctx)
    rollback(ctx)
    assert raise_banner(ctx, "too few rows") is None
    assert told(ctx) == (1, None)
    block(ctx, "too few rows")
    with pytest.raises(RunFailed, match="stopped by a gate"):
        publish(ctx, release=True)
    raise_banner(ctx, "too few rows")
    assert edition(ctx) == 1
    block(ctx, "")
    assert publish(ctx).published
    assert (edition(ctx), told(ctx)[1]) == (2, None)


def test_versions_with_a_banner_push_no_data_out(ctx: Context) -> None:
    for number in range(1, 6):
        write(ctx, number)
        publish(ctx)
        raise_banner(ctx, "too few rows")
    # three are kept: editions 3, 4 and 5, and the banner that is current
    assert versions(ctx.home) == [5, 7, 9, 10]
    assert rollback(ctx).version == 7
    assert edition(ctx) == 4


def test_nothing_published_has_nothing_to_bear_a_banner(ctx: Context) -> None:
    assert raise_banner(ctx, "too few rows") is None
    assert read_banner(ctx.home) is None


def fail(public: str | None) -> Callable[..., StepResult]:
    def step(ctx: Context, progress: Progress) -> StepResult:
        raise RunFailed("dbt: orders: cannot read 'ann@example.com'", public=public)

    return step


def test_a_failed_step_of_the_build_tells_readers_no_more_than_they_may_know(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ctx)
    quiet = Progress(quiet=True)
    for step, public, expected in (
        ("load", "not a step of the build", None),
        ("build_marts", None, "build_marts failed; `carelake status` says why"),
        ("build_features", "dbt: orders failed", "dbt: orders failed"),
        ("publish", None, "dbt: orders failed"),  # says less than what is told already
    ):
        monkeypatch.setitem(pipeline.STEPS, step, fail(public))
        with pytest.raises(RunFailed, match="ann@example.com"):
            pipeline.perform(ctx, step, quiet)
        text = read_banner(ctx.home) or ""
        assert text.split(" held back because ")[-1] == (expected or "")
        assert "ann@" not in str(told(ctx))


def test_a_banner_that_cannot_be_written_hides_no_error_and_leaves_nothing_behind(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    publish(ctx)
    monkeypatch.setitem(pipeline.STEPS, "build_marts", fail(None))
    monkeypatch.setattr(banner, "_write_meta", full)
    said = io.StringIO()
    with pytest.raises(RunFailed, match="dbt: orders"):
        pipeline.perform(ctx, "build_marts", Progress(said))
    assert "readers could not be told: [Errno 28]" in said.getvalue()
    assert told(ctx) == (1, None)
    assert list((ctx.home.published / "versions").glob("*.part")) == []
