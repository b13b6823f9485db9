"""A sound little warehouse, and for every expectation the defect that it exists for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from carelake.warehouse.schema import create_recorded_tables

GOOD = {
    "communication_id": "'c' || i",
    "sent_at": "'2024-05-01T10:00:00.000000Z'",
    "body": "'hello'",
}


class Warehouse:
    """Recorded tables with a short way to load a batch of ten calls."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        create_recorded_tables(con)
        con.execute(
            "insert into ops.sources (source_name, entity, mode) values"
            " ('calls', 'communications', 'append'), ('crm', 'customers', 'snapshot')"
        )
        self.sequence = 0

    def load(
        self, source: str = "calls", n: int = 10, checked: bool = False, **changes: Any
    ) -> str:
        """One batch; `columns` changes the rows' expressions, the rest the ledger's row."""
        self.sequence += 1
        batch = changes.pop("batch_id", f"b{self.sequence}")
        columns = {**GOOD, **changes.pop("columns", {})}
        n_rows = changes.pop("n_rows", n)
        ledger = {
            "batch_seq": self.sequence,
            "batch_id": batch,
            "source_name": source,
            "n_physical": n,
            "n_raw": n,
            "n_structural_rejects": 0,
            "missing_columns": "[]",
            "new_columns": "[]",
            "status": "loaded" if checked else "arrived",
            "checked_at": "2024-05-02 00:00:00+00" if checked else None,
            **changes,
        }
        marks = ", ".join("?" for _ in ledger)
        self.con.execute(
            f"insert into ops.ledger ({', '.join(ledger)}) values ({marks})", list(ledger.values())
        )
        if source == "calls":
            chosen = ", ".join(f"{text} as {name}" for name, text in columns.items())
            self.con.execute(
                f"insert into raw.communications by name select {chosen}, '{batch}' as batch_id,"
                f" {self.sequence} as batch_seq from range({n_rows}) as rows (i)"
            )
        else:
            self.con.execute(
                "insert into raw.customers by name select 'k' || i as customer_id, 'Ann' as"
                f" customer_name, '{batch}' as batch_id, {self.sequence} as batch_seq"
                f" from range({n_rows}) as rows (i)"
            )
        return str(batch)

    def file(self, batch: str) -> None:
        """Say that a batch came in one file, the same for all of them."""
        self.con.execute(
            "insert into ops.batch_files (batch_id, source_name, sha256, n_physical)"
            " values (?, 'calls', 'abc', 10)",
            [batch],
        )


TABLES = """
create schema staging; create schema intermediate; create schema features; create schema marts;
create table intermediate.int_as_of as select timestamptz '2024-06-01 00:00:00+00' as as_of;

create table features.features_conversations (
    conversation_key varchar, occurred_at timestamptz, opened_at timestamptz, channel varchar,
    first_reply_minutes decimal(18, 3), resolution_minutes decimal(18, 3),
    handle_seconds decimal(18, 3), prior_satisfaction decimal(9, 6), text varchar,
    label_satisfied boolean, label_at timestamptz);
insert into features.features_conversations
    select 'c' || i, '2024-05-02', '2024-05-01', 'chat', 5, 60, 30, 0.5, 'where is ‹email›?',
        i % 2 = 0, '2024-05-03'
    from range(40) as rows (i);
create table features.features_customers (
    customer_key varchar, n_conversations bigint, n_conversations_90d bigint, n_orders bigint,
    order_value decimal(18, 2), mean_satisfaction decimal(9, 6), age integer,
    is_contact_only boolean);
insert into features.features_customers
    select 'k' || i, 2, 1, 1, 10, 0.5, 40, false from range(4) as rows (i);

create table marts.source_runs (
    batch_id varchar, source_name varchar, n_physical bigint, n_structural_rejects bigint,
    n_raw bigint, n_staged bigint, n_rejected bigint, n_duplicates bigint, n_superseded bigint,
    n_deleted bigint, n_held bigint, is_balanced boolean);
insert into marts.source_runs values ('b1', 'crm', 10, 1, 9, 5, 1, 1, 1, 1, 0, true);
create table marts.dim_customers (
    customer_key varchar, name_masked varchar, age integer, gender varchar,
    do_not_contact boolean, n_contact_points integer);
insert into marts.dim_customers select 'k' || i, 'A*', 40, 'female', false, 2 from range(4) as rows (i);
create table marts.dim_contact_points (
    contact_point_key varchar, customer_key varchar, kind varchar, value_masked varchar,
    is_shared boolean);
insert into marts.dim_contact_points
    select 'p' || i, 'k' || i, 'email', 'a***@example.com', false from range(4) as rows (i);
create table marts.fct_conversations (
    conversation_key varchar, customer_key varchar, channel varchar, status varchar,
    outcome_state varchar, satisfaction decimal(9, 6), first_reply_minutes decimal(18, 3),
    resolution_minutes decimal(18, 3), handle_seconds decimal(18, 3), opened_at timestamptz,
    closed_at timestamptz);
insert into marts.fct_conversations
    select 'c' || i, 'k' || (i % 4), 'chat', 'closed', 'resolved_later', i % 2, 5, 60, 30,
        '2024-05-01', '2024-05-02'
    from range(120) as rows (i);
create table marts.fct_communications (
    communication_key varchar, conversation_key varchar, channel varchar, direction varchar,
    sent_at timestamptz, subject_masked varchar, text_masked varchar);
insert into marts.fct_communications
    select 'm' || i, 'c1', 'chat', 'inbound', timestamptz '2024-04-27 00:00:00+00' + to_days(i % 35), null,
        'call ‹phone›'
    from range(700) as rows (i);
create table marts.agg_channel_daily (
    day date, channel varchar, n_communications integer, n_survey_responses integer,
    satisfaction_sum decimal(18, 6));
insert into marts.agg_channel_daily
    select date '2024-04-27' + i::integer, 'chat', 20, 2, 1 from range(35) as rows (i);
create table marts.conversation_needs as
    select conversation_key, 'delivery' as need, channel, true as is_resolved, true as is_provisional
    from marts.fct_conversations;
create table marts.fct_conversation_metrics (
    conversation_key varchar, channel varchar, opened_at timestamptz, first_reply_minutes decimal(18, 3),
    next_reply_minutes decimal(18, 3), requester_wait_minutes decimal(18, 3),
    requester_wait_business_minutes decimal(18, 3), agent_wait_minutes decimal(18, 3),
    agent_wait_business_minutes decimal(18, 3), on_hold_minutes decimal(18, 3),
    full_resolution_minutes decimal(18, 3), full_resolution_business_minutes decimal(18, 3),
    unassigned_minutes decimal(18, 3), n_calls_offered integer, n_calls_answered integer,
    n_reopens integer, is_first_contact_resolution boolean, first_reply_sla varchar);
insert into marts.fct_conversation_metrics
    select 'c' || i, 'phone', '2024-05-01', 5, null, 10, 8, 4, 2, null, 60, 40, 1, 1, 1, 0, true, 'hit'
    from range(120) as rows (i);
create table marts.agg_service_daily (
    day date, channel varchar, n_conversations integer, requester_wait_minutes decimal(18, 3));
insert into marts.agg_service_daily values ('2024-05-01', 'phone', 120, 1200);
create table marts.agg_backlog_daily (day date, channel varchar, n_open_at_end integer);
insert into marts.agg_backlog_daily select date '2024-05-01' + i::integer, 'phone', i from range(3) as rows (i);
create table marts.fct_survey_responses (
    survey_response_key varchar, conversation_key varchar, kind varchar, score decimal(9, 3),
    satisfaction decimal(9, 6), source_name varchar);
insert into marts.fct_survey_responses
    select 's' || i, 'c1', 'csat', 1 + i % 5, (i % 5) / 4, 'forms' from range(30) as rows (i);
create table marts.fct_orders (
    order_key varchar, customer_key varchar, source_name varchar, amount decimal(18, 2),
    is_cancelled boolean);
insert into marts.fct_orders select 'o' || i, 'k1', 'shop', 10, false from range(10) as rows (i);
alter table marts.fct_orders add column ordered_at timestamptz default '2024-05-01';
create table marts.customer_value (
    customer_key varchar, rfm varchar, p_alive decimal(9, 6), expected_orders_90d decimal(18, 6),
    expected_value_90d decimal(18, 2), expected_orders_365d decimal(18, 6));
insert into marts.customer_value values ('k1', '545', 0.9, 1, 10, 4);
create table marts.customer_retention (customer_key varchar);
insert into marts.customer_retention values ('k1'), ('k2');
create table marts.customer_satisfaction_index (
    customer_key varchar, as_of timestamptz, cs decimal(18, 6), csf decimal(9, 6), cv decimal(9, 6),
    tp decimal(9, 6), cs_in_value_band decimal(9, 6), n_conversations integer, n_surveyed integer,
    n_obligations_due integer, n_obligations_met integer, missing_part varchar);
insert into marts.customer_satisfaction_index
    select 'k' || i, '2024-06-01', 1, 0.5, 0.25, 0.5, 0.5, 2, 1, 2, 1, null from range(120) as rows (i);
create table marts.customer_segments (
    customer_key varchar, segment_id integer, segment_name varchar, distance decimal(18, 6),
    model_version integer);
insert into marts.customer_segments
    select 'k' || i, i % 2, 'name' || (i % 2), 1, 1 from range(4) as rows (i);
create table marts.satisfaction_predictions (
    conversation_key varchar, p_satisfied decimal(9, 6), model_name varchar, model_version integer);
insert into marts.satisfaction_predictions
    select 'c' || i, 0.4 + 0.2 * (i % 2), 'before_survey', 1 from range(120) as rows (i);
create table marts.model_health (
    health_id varchar, as_of timestamptz, model_name varchar, measure varchar, value decimal(18, 6),
    state varchar);
insert into marts.model_health
    values ('h0', '2024-05-01', 'before_survey', 'roc_auc', 0.6, 'act'),
        ('h1', '2024-06-01', 'before_survey', 'roc_auc', 0.8, 'ok'),
        ('h2', '2024-06-01', 'before_survey', 'shift_of_scores', 0.3, 'warn');
create table marts.follow_up_queue (
    follow_up_id varchar, customer_key varchar, reason varchar, channel varchar, owner varchar,
    due_at timestamptz, status varchar);
insert into marts.follow_up_queue
    values ('f1', 'k1', 'waited', 'email', 'Ana', '2024-06-03', 'proposed'),
        ('f2', 'k2', 'waited', 'email', 'Ana', '2024-06-03', 'approved');
"""

ENTITIES = {
    "communications": "sent_at", "conversations": "opened_at", "customers": "created_at",
    "survey_responses": "responded_at", "orders": "ordered_at", "order_lines": "ordered_at",
    "events": "occurred_at", "agents": "updated_at", "follow_ups": "due_at",
    "email_messages": "sent_at", "call_legs": "started_at", "transcripts": "recorded_at",
}  # fmt: skip
IDENTIFIERS = (
    "customer_id", "email", "phone", "handle", "from_address", "to_address", "conversation_id",
    "order_id", "agent_id", "follow_up_id",
    "call_id",
)  # fmt: skip


def of(table: str, change: str, rows: str = "true") -> str:
    return f"update marts.{table} set {change} where {rows}"


def twice(table: str, key: str) -> str:
    return f"insert into {table} select * from {table} order by {key} limit 1"


STAGED = "update staging.stg_communications__classified set "
TALKS, BUYERS = (
    "update features.features_conversations set ",
    "update features.features_customers set ",
)

DEFECTS: dict[str, dict[str, str]] = {
    "staging__sources": {
        "n_undecided": STAGED + "disposition = null where row_number = 1",
        "rejected_share": STAGED + "disposition = 'rejected' where row_number = 1",
        "future_share": STAGED + "sent_at = extracted_at + interval 2 day",
        "ancient_share": STAGED + "sent_at = '1970-01-01 00:00:00+00'",
        "untimed_share": STAGED + "sent_at = null where row_number < 4",
        "unidentified_share": STAGED
        + "customer_id = null, email = null, phone = null, handle = null, from_address = null, to_address = null",
    },
    "features__conversations": {
        "n_repeated_keys": twice("features.features_conversations", "conversation_key"),
        "n_negative_durations": TALKS + "handle_seconds = -1 where conversation_key = 'c1'",
        "n_wrong_satisfaction": TALKS + "prior_satisfaction = 1.5",
        "n_unmasked": TALKS + "text = 'mail ann@example.com' where conversation_key = 'c1'",
        "n_closed_before_opened": TALKS + "occurred_at = '2024-04-01'",
        "n_early_labels": TALKS + "label_at = '2024-04-01'",
        "untimed_share": TALKS + "occurred_at = null",
        "satisfied_share": TALKS + "label_satisfied = true",
    },
    "features__customers": {
        "n_repeated_keys": twice("features.features_customers", "customer_key"),
        "n_wrong_kind": BUYERS + "n_orders = 0",
        "n_wrong_windows": BUYERS + "n_conversations_90d = 3",
        "n_wrong_satisfaction": BUYERS + "mean_satisfaction = -0.1",
        "n_wrong_ages": BUYERS + "age = 130",
        "n_negative_values": BUYERS + "order_value = -1",
        "greatest_share": BUYERS + "n_conversations = 90 where customer_key = 'k1'",
    },
    "marts__accounting": {
        "is_balanced": of("source_runs", "is_balanced = false"),
        "n_lost_on_loading": of("source_runs", "n_structural_rejects = 0"),
        "n_lost_on_staging": of("source_runs", "n_duplicates = 0"),
        "rejected_share": of("source_runs", "n_rejected = 3, n_staged = 3"),
    },
    "marts__customers": {
        "n_repeated_keys": twice("marts.dim_customers", "customer_key"),
        "n_repeated_points": twice("marts.dim_contact_points", "contact_point_key"),
        "n_shared_with_customer": of("dim_contact_points", "is_shared = true"),
        "n_unmasked_points": of("dim_contact_points", "value_masked = 'ann@example.com'"),
        "n_unmasked_names": of("dim_customers", "name_masked = 'Ann'"),
        "n_wrong_ages": of("dim_customers", "age = 130"),
        "n_wrong_genders": of("dim_customers", "gender = 'F'"),
        "n_customers": "delete from marts.dim_customers",
        "most_contact_points": of("dim_customers", "n_contact_points = 51"),
    },
    "marts__conversations": {
        "channel": of("fct_conversations", "channel = 'fax'"),
        "n_repeated_keys": twice("marts.fct_conversations", "conversation_key"),
        "n_wrong_states": of("fct_conversations", "status = null"),
        "n_wrong_outcomes": of("fct_conversations", "outcome_state = 'open'"),
        "n_wrong_satisfaction": of("fct_conversations", "satisfaction = 5"),
        "n_negative_durations": of("fct_conversations", "first_reply_minutes = -1"),
        "n_closed_before_opened": of("fct_conversations", "closed_at = '2024-04-01'"),
        "without_customer_share": of("fct_conversations", "customer_key = null"),
    },
    "marts__communications": {
        "channel": of("fct_communications", "channel = 'fax'"),
        "n_repeated_keys": twice("marts.fct_communications", "communication_key"),
        "n_without_conversation": of("fct_communications", "conversation_key = null"),
        "n_wrong_directions": of("fct_communications", "direction = 'in'"),
        "n_unmasked": of("fct_communications", "subject_masked = 'call 13812345678'"),
        "future_share": of("fct_communications", "sent_at = '2024-07-01'"),
        "untimed_share": of("fct_communications", "sent_at = null"),
    },
    "marts__surveys": {
        "kind": of("fct_survey_responses", "kind = 'stars'"),
        "n_repeated_keys": twice("marts.fct_survey_responses", "survey_response_key"),
        "n_wrong_satisfaction": of(
            "fct_survey_responses", "satisfaction = 2, score = 9", "score = 5"
        ),
        "n_wrongly_scaled": of("fct_survey_responses", "satisfaction = 0"),
        "unattached_share": of("fct_survey_responses", "conversation_key = null"),
        "n_distinct_scores": of("fct_survey_responses", "score = 5, satisfaction = 1"),
    },
    "marts__orders": {
        "n_repeated_keys": twice("marts.fct_orders", "order_key"),
        "n_negative_orders": of("fct_orders", "amount = -1"),
        "without_amount_share": of("fct_orders", "amount = null"),
        "without_customer_share": of("fct_orders", "customer_key = null"),
        "cancelled_share": of("fct_orders", "is_cancelled = true"),
    },
    "marts__index": {
        "n_repeated_keys": twice("marts.customer_satisfaction_index", "customer_key"),
        "n_moments": of("customer_satisfaction_index", "as_of = '2024-05-01'", "customer_key = 'k1'"),
        "n_wrong_csf": of("customer_satisfaction_index", "csf = 2, cs = 4"),
        "n_wrong_cv": of("customer_satisfaction_index", "cv = 2, cs = 0.125"),
        "n_wrong_tp": of("customer_satisfaction_index", "tp = 2, cs = 4"),
        "n_wrong_products": of("customer_satisfaction_index", "cs = 2"),
        "n_wrong_nulls": of("customer_satisfaction_index", "tp = null", "customer_key = 'k1'"),
        "n_unexplained": of("customer_satisfaction_index", "missing_part = 'tp'", "customer_key = 'k1'"),
        "n_wrong_percentiles": of("customer_satisfaction_index", "cs_in_value_band = 2"),
        "n_wrong_counts": of("customer_satisfaction_index", "n_surveyed = 3"),
        "without_index_share": of(
            "customer_satisfaction_index", "cs = null, tp = null, missing_part = 'tp: nothing was due'"
        ),
    },
    "marts__segments": {
        "n_names": of("customer_segments", "segment_name = 'other'", "customer_key = 'k0'"),
        "n_unnamed": of("customer_segments", "segment_name = null", "customer_key = 'k0'"),
        "n_repeated_keys": of("customer_segments", "customer_key = 'k0'", "segment_id = 0"),
        "n_versions": of("customer_segments", "model_version = 2", "customer_key = 'k0'"),
        "n_negative_distances": of("customer_segments", "distance = -1"),
        "covered_share": "insert into marts.dim_customers (customer_key) values ('k9')",
        "customer_share": of("customer_segments", "segment_id = 1, segment_name = 'name1'"),
    },
    "marts__predictions": {
        "n_repeated_keys": of(
            "satisfaction_predictions", "conversation_key = 'c1'", "conversation_key = 'c3'"
        ),
        "n_wrong_chances": of("satisfaction_predictions", "p_satisfied = null", "conversation_key = 'c1'"),
        "n_versions": of("satisfaction_predictions", "model_version = 2", "conversation_key >= 'c5'"),
        "covered_share": "delete from marts.satisfaction_predictions where conversation_key in ('c1', 'c2')",
        "n_distinct_chances": of("satisfaction_predictions", "p_satisfied = 0.5"),
        "calibration_gap": of("satisfaction_predictions", "p_satisfied = p_satisfied + 0.3"),
    },
    "marts__model_health": {
        "n_repeated_keys": of("model_health", "health_id = 'h1'"),
        "n_wrong_values": of("model_health", "value = 1.2", "health_id = 'h1'"),
        "n_aged": of("model_health", "state = 'act'", "health_id = 'h2'"),
    },
    "marts__follow_ups": {
        "n_unwanted": of("dim_customers", "do_not_contact = true"),
        "n_repeated_customers": of("follow_up_queue", "customer_key = 'k1'"),
        "n_incomplete": of("follow_up_queue", "reason = ' '"),
        "n_strangers": of("follow_up_queue", "customer_key = 'k' || follow_up_id"),
        "n_overdue": of("follow_up_queue", "due_at = '2024-05-01'"),
    },
    "marts__channels": {
        "n_difference": of("agg_channel_daily", "n_communications = 21", "day = '2024-05-01'"),
        "n_repeated_days": of("agg_channel_daily", "day = '2024-05-01'", "day = '2024-05-02'"),
        "n_wrong_sums": of("agg_channel_daily", "satisfaction_sum = 3"),
        "week_ratio": "update marts.agg_channel_daily set n_communications = if(day > '2024-05-24', 5, 23.75)",
    },
    "marts__needs": {
        "n_without_need": "delete from marts.conversation_needs where conversation_key = 'c1'",
        "n_wrong_provisional": of("conversation_needs", "is_resolved = false", "conversation_key = 'c1'"),
        "unknown_share": of("conversation_needs", "need = 'unknown'", "conversation_key > 'c3'"),
    },
    "marts__value": {
        "n_difference": "delete from marts.fct_orders",
        "n_wrong_chances": of("customer_value", "p_alive = 1.1"),
        "n_negative": of("customer_value", "expected_value_90d = -1"),
        "n_shrinking": of("customer_value", "expected_orders_90d = 5"),
        "n_wrong_fifths": of("customer_value", "rfm = '546'"),
        "n_strangers": "delete from marts.customer_retention where customer_key = 'k1'",
    },
    "marts__service": {
        "n_difference": of("agg_service_daily", "n_conversations = 119", "day = '2024-05-01'"),
        "minutes_difference": of("agg_service_daily", "requester_wait_minutes = 1200.001", "day = '2024-05-01'"),
        "n_negative_times": of("fct_conversation_metrics", "on_hold_minutes = -1"),
        "n_more_business_than_time": of("fct_conversation_metrics", "agent_wait_business_minutes = 4.002"),
        "n_more_answered_than_offered": of("fct_conversation_metrics", "n_calls_answered = 2"),
        "n_reopened_and_resolved": of("fct_conversation_metrics", "n_reopens = 1"),
        "least_open": of("agg_backlog_daily", "n_open_at_end = -1", "day = '2024-05-02'"),
        "breached_share": "update marts.fct_conversation_metrics set first_reply_sla = 'breach'"
        " where conversation_key > 'c3'",
    },
}  # fmt: skip

BAD_LINES = {"n_physical": 30, "n_structural_rejects": 20}
RAW_DEFECTS: dict[tuple[str, str], Callable[[Warehouse], object]] = {
    ("n_physical", "blocking"): lambda w: w.load(n=0),
    ("n_unaccounted", "blocking"): lambda w: w.load(n_physical=11),
    ("n_rows_missing", "blocking"): lambda w: w.load(n_rows=9),
    ("reject_share", "blocking"): lambda w: w.load(**BAD_LINES),
    ("reject_share", "warning"): lambda w: w.load(n_physical=11, n_structural_rejects=1),
    ("missing_id_share", "blocking"): lambda w: w.load(columns={"communication_id": "null"}),
    ("missing_id_share", "warning"): lambda w: w.load(columns=one_of_ten("communication_id", "null")),
    ("bad_time_share", "blocking"): lambda w: w.load(columns={"sent_at": "'01/05/2024'"}),
    ("bad_time_share", "warning"): lambda w: w.load(columns=one_of_ten("sent_at", "'01/05/2024'")),
    ("blank_share", "blocking"): lambda w: w.load(columns={"sent_at": "null", "body": "null"}),
    ("garbled_share", "blocking"): lambda w: w.load(columns={"body": "'caf' || chr(65533)"}),
    ("garbled_share", "warning"): lambda w: w.load(
        columns=one_of_ten("body", "'caf' || chr(65533)")
    ),
    ("missing_essential", "blocking"): lambda w: w.load(missing_columns='["sent_at"]'),
    ("missing_columns", "warning"): lambda w: w.load(missing_columns='["category"]'),
    ("new_columns", "warning"): lambda w: w.load(new_columns='["Mood"]'),
    ("snapshot_ratio", "blocking"): lambda w: (
        w.load("crm", 100, checked=True), w.load("crm", 20),
    ),
    ("volume_ratio", "warning"): lambda w: (
        [w.load(n=100, checked=True) for _ in range(3)], w.load(n=1),
    ),
    ("n_repeated_files", "warning"): lambda w: [
        w.file(w.load(checked=True)), w.file(w.load()),
    ],
}  # fmt: skip
"""Defects of a batch, by column and severity: some columns have a soft limit and a hard one."""

ALSO: dict[tuple[str, str, str], tuple[set[tuple[str, str]], str]] = {
    ("raw__batches", "reject_share", "blocking"): (
        {("reject_share", "warning")}, "what is beyond the hard limit is beyond the soft one",
    ),
    ("raw__batches", "missing_id_share", "blocking"): (
        {("missing_id_share", "warning")}, "what is beyond the hard limit is beyond the soft one",
    ),
    ("raw__batches", "bad_time_share", "blocking"): (
        {("bad_time_share", "warning")}, "what is beyond the hard limit is beyond the soft one",
    ),
    ("raw__batches", "garbled_share", "blocking"): (
        {("garbled_share", "warning")}, "what is beyond the hard limit is beyond the soft one",
    ),
    ("raw__batches", "missing_essential", "blocking"): (
        {("missing_columns", "warning")}, "an essential column that is missing is a missing column",
    ),
    ("marts__channels", "week_ratio", "warning"): (
        {("n_difference", "blocking")}, "fewer contacts in a week are fewer than there are facts",
    ),
}  # fmt: skip
"""Defects that no other expectation can overlook: (suite, column, severity), what else, and why."""


def one_of_ten(column: str, value: str) -> dict[str, str]:
    """A column that is wrong in the first of ten rows."""
    return {column: f"if(i = 0, {value}, {GOOD[column]})"}


def make_company(con: duckdb.DuckDBPyConnection) -> None:
    """Staging, features and marts that break nothing."""
    con.execute(TABLES)
    others = ", ".join(f"'x' as {name}" for name in IDENTIFIERS)
    for entity, time in ENTITIES.items():
        con.execute(
            f"create table staging.stg_{entity}__classified as select 'crm' as source_name, 'staged' as"
            f" disposition, timestamptz '2024-05-31 00:00:00+00' as extracted_at, i as row_number, {others},"
            f" timestamptz '2024-05-01 00:00:00+00' as {time} from range(10) as rows (i)"
        )
