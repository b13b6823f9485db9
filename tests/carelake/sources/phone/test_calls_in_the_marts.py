"""Calls from the files of a telephone system to the service metrics, worked out by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.settings import Context
from carelake.sources.extract import extract_source
from carelake.warehouse.call_records import ASTERISK_CUSTOM
from carelake.warehouse.load import load
from tests.carelake.sources.phone.calls import LEGS, as_csv
from tests.conftest import PEPPER
from tests.dbt_project.conftest import Dbt

PAGE = Path(__file__).parents[4] / "docs" / "sources-phone.md"


def example(words: str) -> str:
    """The YAML block of the documentation that holds these words, complete as it stands there."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    return next(block for block in blocks if words in block)


def build(ctx: Context, tmp_path: Path) -> None:
    """Extract, load, and build what service metrics need; the gate lets all through."""
    for source in ctx.sources.sources:
        extract_source(source, ctx.config_dir, ctx.home.landing)
    load(ctx)
    with duckdb.connect(str(ctx.home.warehouse)) as con:
        con.execute("update ops.ledger set status = 'loaded' where status = 'arrived'")
    dbt = Dbt(tmp_path)
    dbt.warehouse = ctx.home.warehouse
    dbt.environment |= {"CARELAKE_WAREHOUSE": str(ctx.home.warehouse), "CARELAKE_PEPPER": PEPPER}
    chosen = [
        "+agg_service_daily",
        "+fct_conversation_metrics",
        "+source_runs",
        "+fct_communications",
    ]
    dbt("build", "--select", *chosen, "--exclude", "resource_type:unit_test")


def ask(ctx: Context, query: str) -> list[Any]:
    with duckdb.connect(str(ctx.home.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(query).fetchall()


def test_the_other_blocks_of_the_page_are_taken(make_context: Callable[..., Context]) -> None:
    ctx = make_context(f"sources:\n{example('freeswitch_cdr')}")
    assert ctx.sources.sources[0].calls.extensions == r"[1-8]\d{3}"
    longer = f"sources:\n{example('freeswitch_cdr')}".replace("    calls:\n", example("layout:"))
    assert len(make_context(longer).sources.sources[0].calls.layout) == 17


METRICS = """
    select
        strftime(metrics.opened_at, '%H:%M:%S'), metrics.status, metrics.is_inbound, n_calls_offered, n_calls_answered,
        n_calls_abandoned, round(answer_seconds)::integer, handle_seconds::integer, n_handoffs, agents.agent_name
    from marts.fct_conversation_metrics as metrics
    left join marts.dim_agents as agents using (agent_key)
    order by metrics.opened_at
"""


@pytest.mark.slow
def test_calls_come_to_the_service_metrics_worked_out_by_hand(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    (tmp_path / "cdr").mkdir()
    # the transfer's last leg comes with the next file, as when the exchange begins a new one
    first = [leg for leg in LEGS if leg.sequence != 25]
    (tmp_path / "cdr" / "a.csv").write_text(as_csv(ASTERISK_CUSTOM[:20], first), encoding="utf-8")
    ctx = make_context(
        f"sources:\n{example('asterisk_cdr')}{example('call_transcripts')}",
        settings="reporting_timezone: Asia/Shanghai",
    )
    (tmp_path / "transcripts").mkdir()
    turns = [("SPEAKER_00", "How can I help?"), ("SPEAKER_01", "Call me back at 13800138000")]
    (tmp_path / "transcripts" / "in-1.23.json").write_text(
        json.dumps({"segments": [{"speaker": who, "text": said} for who, said in turns]})
    )
    build(ctx, tmp_path)
    transferred = (
        "select handle_seconds::integer, n_legs from intermediate.int_calls where call_id = '1.20'"
    )
    assert ask(ctx, transferred) == [(130, 3)]
    # the file grew: all of it comes again, and one leg is new
    (tmp_path / "cdr" / "a.csv").write_text(as_csv(ASTERISK_CUSTOM[:20]), encoding="utf-8")
    build(ctx, tmp_path)
    assert ask(ctx, transferred) == [(250, 4)]

    assert ask(ctx, METRICS) == [
        ("01:00:00", "closed", True, 1, 1, 0, 15, 120, 0, "1001"),
        ("01:10:00", "open", True, 1, 0, 1, None, None, 0, None),
        ("01:20:00", "closed", True, 1, 1, 0, 50, 250, 1, "1003"),
        ("01:30:00", "open", True, 1, 0, 1, None, None, 0, None),
        ("01:40:00", "closed", False, None, None, None, None, 80, 0, "1002"),
        ("01:50:00", "open", False, None, None, None, None, None, 0, "1002"),
        ("02:10:00", "closed", True, 1, 1, 0, 30, 90, 0, "1001"),
    ]
    assert ask(ctx, """
        select sum(n_calls_offered), sum(n_calls_answered), sum(n_calls_abandoned), sum(n_answered_in_time),
            round(sum(answer_seconds)), sum(handle_seconds), sum(n_handle_times)
        from marts.agg_service_daily
    """) == [(5, 3, 2, 1, 95, 540, 4)]  # fmt: skip
    assert ask(ctx, """
        select batch_id, n_physical, n_raw, n_staged, n_duplicates, is_balanced from marts.source_runs order by 1
    """) == [
        ("call_transcripts-000001", 1, 1, 1, 0, True),
        ("pbx-000001", 10, 10, 0, 10, True),
        ("pbx-000002", 11, 11, 11, 0, True),
    ]  # fmt: skip
    told = "select text_masked, language, duration_seconds::integer from marts.fct_communications where text_masked <> ''"
    assert ask(ctx, told) == [("Call me back at ‹phone›", "en", 250)]
    people = ask(
        ctx,
        """
        select kind, value, count(*) from intermediate.int_contact_points
        join intermediate.int_communications using (customer_key) where kind <> 'crm' group by all order by all
    """,
    )
    assert people == [
        ("handle", "sip:anna@voip.example", 1),
        ("phone", "+8613600136000", 1),
        ("phone", "+8613700137000", 1),
        ("phone", "+8613800138000", 2),
        ("phone", "+8613900139000", 1),
        ("phone", "+862155512345", 1),
    ]
