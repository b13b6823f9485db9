"""Which DAGs there are, what starts them, and what their tasks do with a step's outcome."""

from __future__ import annotations

import itertools
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carelake.errors import ConfigError, RunFailed

ORDER = [
    "settle", "has_news", "check_batches", "build_features", "score", "build_marts",
    "plan_follow_ups", "check_marts", "publish", "replicate",
]  # fmt: skip


def test_each_source_has_a_dag_with_its_owner_schedule_and_tags(dags: dict[str, Any]) -> None:
    assert {name for name in dags if name.startswith("ingest_")} == {
        "ingest_shop_support",
        "ingest_support_inbox",
    }
    dag = dags["ingest_shop_support"]
    assert [task.task_id for task in dag.topological_sort()] == ["extract", "load"]
    assert {task.owner for task in dag.tasks} == {"support-data"}
    assert {"ingest", "crm", "conversations"} <= set(dag.tags)
    assert dag.timetable.expression == "0 * * * *"
    assert set(dag.params) == {"since", "until"}


def test_a_source_with_a_limit_is_asked_after_its_load_whether_it_fell_silent(
    dags: dict[str, Any],
) -> None:
    assert "check_freshness" not in dags["ingest_shop_support"].task_ids
    dag = dags["ingest_support_inbox"]
    assert [task.task_id for task in dag.topological_sort()] == [
        "extract",
        "load",
        "check_freshness",
    ]
    # a load with nothing to do is skipped, and just then the question matters
    assert dag.get_task("check_freshness").trigger_rule == "none_failed"


def test_only_load_tells_that_a_source_brought_something(dags: dict[str, Any]) -> None:
    dag = dags["ingest_shop_support"]
    assert dag.get_task("extract").outlets == []
    assert [asset.name for asset in dag.get_task("load").outlets] == ["landing_shop_support"]


def test_any_source_or_a_new_champion_starts_the_build(dags: dict[str, Any]) -> None:
    from airflow.sdk import AssetAny

    condition = dags["build_marts"].schedule
    assert isinstance(condition, AssetAny)
    assert {asset.name for asset in condition.objects} == {
        "landing_shop_support",
        "landing_support_inbox",
        "champion",
    }


def test_the_build_runs_its_steps_in_the_one_order(dags: dict[str, Any]) -> None:
    dag = dags["build_marts"]
    order = [task.task_id for task in dag.topological_sort() if task.task_id != "tell_aged"]
    assert order == ORDER
    for before, after in itertools.pairwise(ORDER):
        assert dag.get_task(before).downstream_task_ids - {"tell_aged"} == {after}


def test_a_champion_that_has_aged_starts_a_training_and_holds_up_no_build(
    dags: dict[str, Any],
) -> None:
    from airflow.sdk import AssetOrTimeSchedule

    tell = dags["build_marts"].get_task("tell_aged")
    assert [asset.name for asset in tell.outlets] == ["aged_champion"]
    assert tell.upstream_task_ids == {"score"} and tell.downstream_task_ids == set()
    schedule = dags["train_models"].schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert [asset.name for asset in schedule.asset_condition.objects] == ["aged_champion"]
    assert schedule.timetable.expression == "0 0 * * 0"


def test_only_what_has_aged_anew_calls_for_a_training(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    call = dags["build_marts"].get_task("tell_aged").python_callable
    with pytest.raises(AirflowSkipException, match="no champion has aged"):
        call({"details": {"aged": ["before_survey 1"], "aged_anew": []}})
    event = types.SimpleNamespace(extra=None)
    context = {"outlet_events": {dags["build_marts"].get_task("tell_aged").outlets[0]: event}}
    monkeypatch.setitem(call.__globals__, "get_current_context", lambda: context)
    assert (
        call({"details": {"aged_anew": ["before_survey 1"]}})["summary"] == "aged: before_survey 1"
    )
    assert event.extra == {"models": ["before_survey 1"]}


def test_only_a_promotion_tells_about_the_champion(dags: dict[str, Any]) -> None:
    dag = dags["train_models"]
    assert dag.get_task("train").outlets == []
    assert [asset.name for asset in dag.get_task("promote").outlets] == ["champion"]


def test_housekeeping_removes_before_it_tidies_once_a_week(dags: dict[str, Any]) -> None:
    dag = dags["housekeeping"]
    assert [task.task_id for task in dag.topological_sort()] == ["apply_retention", "tidy"]
    assert dag.schedule == "0 4 * * 0"


class FakeTask:
    """The running task instance: takes XComs, and says which ingests are under way."""

    def __init__(self, busy: tuple[str, ...] = ()) -> None:
        self.pushed: dict[str, Any] = {}
        self.busy = busy

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        assert states == ["queued", "running"]
        return int(dag_id in self.busy)


@pytest.fixture
def parts(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, dict[str, Any], types.ModuleType]:
    """`dag_parts`, the context of a running task, and a pipeline that tests tell what to say."""
    import dag_parts

    import carelake

    context: dict[str, Any] = {"run_id": "r1", "ti": FakeTask(), "outlet_events": {}, "params": {}}
    pipeline = types.ModuleType("carelake.pipeline")
    monkeypatch.setitem(sys.modules, "carelake.pipeline", pipeline)
    monkeypatch.setattr(carelake, "pipeline", pipeline, raising=False)
    monkeypatch.setattr(dag_parts, "get_current_context", lambda: context)
    return dag_parts, context, pipeline


def _result(outcome: str) -> dict[str, Any]:
    return {"step": "load", "outcome": outcome, "rows": 3, "seconds": 0.1, "summary": "3 rows"}


def test_a_step_shows_rows_and_timing_as_xcom_and_on_its_asset_event(parts: Any) -> None:
    dag_parts, context, pipeline = parts
    asset = dag_parts.landing("shop_support")
    context["outlet_events"] = {asset: types.SimpleNamespace(extra=None)}
    calls: list[tuple[Any, ...]] = []

    def run_step(name: str, *, sources: list[str], run_id: str, progress: Any) -> dict[str, Any]:
        calls.append((name, sources, run_id))
        return _result("done")

    pipeline.run_step = run_step
    shown = dag_parts.run_step("load", {"sources": ["shop_support"]}, may_skip=True, outlet=asset)
    assert calls == [("load", ["shop_support"], "r1")]
    assert shown == context["outlet_events"][asset].extra == _result("done")


def test_nothing_new_skips_so_that_no_event_is_sent(parts: Any) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    dag_parts, context, pipeline = parts
    pipeline.run_step = lambda name, **_: _result("nothing_new")
    with pytest.raises(AirflowSkipException, match="3 rows"):
        dag_parts.run_step("load", may_skip=True, outlet=dag_parts.landing("x"))
    assert context["ti"].pushed["return_value"]["outcome"] == "nothing_new"
    # a step in the middle of the build with nothing to do must not skip the rest
    assert dag_parts.run_step("score")["rows"] == 3


def test_a_wrong_setting_is_not_retried_and_a_failed_run_is(parts: Any) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    dag_parts, context, pipeline = parts

    def fail(error: Exception) -> Any:
        def run_step(name: str, **_: Any) -> dict[str, Any]:
            raise error

        return run_step

    pipeline.run_step = fail(ConfigError("sources.yml: path: no such file"))
    with pytest.raises(AirflowFailException, match=r"sources\.yml: path"):
        dag_parts.run_step("extract")
    pipeline.run_step = fail(RunFailed("the warehouse is held"))
    with pytest.raises(RunFailed):
        dag_parts.run_step("extract")
    assert context["ti"].pushed["return_value"]["summary"] == "the warehouse is held"
    # asking a gate again would not change its verdict
    with pytest.raises(AirflowFailException):
        dag_parts.run_step("check_marts", is_gate=True)


def test_settling_looks_at_the_runs_of_every_source_and_tells_what_it_waited_for(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_parts, context, _ = parts
    monkeypatch.setenv("CARELAKE_HOME", str(tmp_path))
    context["ti"] = FakeTask(("ingest_b",))
    assert not dag_parts.look_for_ingests(["a", "b"], 60)
    context["ti"] = FakeTask()
    settled = dag_parts.look_for_ingests(["a", "b"], 60)
    assert settled and settled.xcom_value["summary"] == "every source has arrived"


def test_a_backfill_is_restricted_to_its_interval_a_form_to_its_fields_and_a_schedule_to_nothing(
    parts: Any,
) -> None:
    dag_parts, _, _ = parts
    day = datetime(2024, 5, 1, tzinfo=UTC)

    def window(kind: str, **params: str | None) -> dict[str, str]:
        run = types.SimpleNamespace(
            run_type=kind, data_interval_start=day, data_interval_end=day + timedelta(days=1)
        )
        return dict(dag_parts.window({"dag_run": run, "params": params}))

    assert window("scheduled", since=None, until=None) == {}
    assert window("manual", since="2024-01-01T00:00:00Z") == {"since": "2024-01-01T00:00:00Z"}
    assert window("backfill") == {
        "since": "2024-05-01T00:00:00+00:00", "until": "2024-05-02T00:00:00+00:00",
    }  # fmt: skip
    assert window("backfill", until="2024-01-01") == {"until": "2024-01-01"}


def test_a_batch_that_is_held_is_told_although_the_step_went_well(
    parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_parts, context, pipeline = parts
    told: list[str] = []
    monkeypatch.setattr(
        dag_parts.airflow_alerts, "_tell", lambda what, why, *_: told.append(f"{what}: {why}")
    )
    context["ti"].dag_id = "build_marts"
    held = {"outcome": "done", "details": {"held": {"calls-000002": "too few rows"}}}
    pipeline.run_step = lambda name, **_: held
    dag_parts.run_step("check_batches", is_gate=True)
    assert told == ["build_marts: batch calls-000002 is held: too few rows"]


def test_a_broken_source_list_names_file_and_key(
    airflow_environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    broken = tmp_path / "sources.yml"
    broken.write_text("sources: [{name: Bad Name, kind: mbox, path: x}]", encoding="utf-8")
    monkeypatch.setenv("CARELAKE_SOURCES", str(broken))
    ingest = Path(__file__).resolve().parents[2] / "dags" / "ingest.py"
    bag = DagBag(ingest)
    assert "snake_case" in next(iter(bag.import_errors.values()))
