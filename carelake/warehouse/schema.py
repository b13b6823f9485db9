"""Recorded tables: what cannot be rebuilt from elsewhere. dbt knows them as sources."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from carelake.entities import ENTITIES

RAW_TAIL = """
    attributes json, extra json, source_name varchar, batch_id varchar, batch_seq bigint,
    extracted_at timestamptz, file_name varchar, row_number bigint
"""

DERIVED = ("staging", "intermediate", "features", "marts")
"""Schemas that dbt alone writes; `raw`, `ops`, `ml` and `care` are recorded."""

EMAIL_COLUMNS = (
    "message_id", "in_reply_to", "references_ids", "from_address", "from_name", "to_addresses",
    "subject", "sent_at", "body_text", "language", "is_auto_reply", "attachments",
    "quoted_text", "signature_text", "mail_kind", "list_id",
)  # fmt: skip

RECORDED = """
create schema if not exists raw;
create schema if not exists ops;
create schema if not exists ml;
create schema if not exists care;

create table if not exists ops.sources (
    source_name varchar primary key, kind varchar, entity varchar, channel varchar, mode varchar,
    dedupe varchar, region varchar, timezone varchar, has_id boolean, position integer,
    csv_dialect json, id_namespace varchar, system varchar
);
create table if not exists ops.own_identities (kind varchar, value varchar);
create table if not exists ops.settings (key varchar primary key, value varchar);
create table if not exists ops.business_hours (day_of_week integer, opens time, closes time);
create table if not exists ops.holidays (day date);
create table if not exists ops.needs (
    need varchar, name varchar, name_zh varchar, is_presale boolean, position integer
);
-- kind: category (what a source calls it), en, zh (what customers write)
create table if not exists ops.need_rules (need varchar, kind varchar, word varchar);
create table if not exists ops.ledger (
    batch_seq bigint, batch_id varchar primary key, source_name varchar, entity varchar,
    manifest_path varchar, extracted_at timestamptz, loaded_at timestamptz, n_files bigint,
    n_bytes bigint, n_physical bigint, n_raw bigint, n_structural_rejects bigint,
    columns json, missing_columns json, new_columns json, seconds decimal(18, 3), status varchar,
    held_reason varchar, checked_at timestamptz, n_expired bigint default 0,
    since timestamptz, until timestamptz, n_pages bigint, n_requests bigint,
    extract_seconds decimal(18, 3)
);
create table if not exists ops.failed_extracts (
    source_name varchar, failed_at timestamptz, since timestamptz, until timestamptz,
    seconds decimal(18, 3), error varchar, primary key (source_name, failed_at)
);
-- arrived: loaded, not gated yet, invisible to the build under way; then loaded or held; a person
-- may make a held one released or discarded
create view if not exists ops.new_batches as select * from ops.ledger where status = 'arrived';
create table if not exists ops.batch_files (
    batch_id varchar, source_name varchar, file_name varchar, landed_path varchar, sha256 varchar,
    n_bytes bigint, n_physical bigint, n_raw bigint, n_rejected bigint
);
create table if not exists ops.structural_rejects (
    batch_id varchar, batch_seq bigint, source_name varchar, entity varchar, file_name varchar,
    row_number bigint, line_number bigint, reason varchar, raw_text varchar
);
create table if not exists ops.source_reconciliation (
    source_name varchar, counted_at timestamptz, batch_id varchar, scope varchar, n_theirs bigint,
    n_ours bigint, n_deleted bigint, n_quarantined bigint, n_held bigint, n_expired bigint,
    n_unexplained bigint, explanation varchar, primary key (source_name, counted_at)
);
create table if not exists ops.check_results (
    run_id varchar, checked_at timestamptz, layer varchar, suite varchar, expectation varchar,
    column_name varchar, severity varchar, success boolean, observed varchar,
    unexpected_count bigint, element_count bigint, batch_id varchar, details varchar
);
create table if not exists ops.steps (
    run_id varchar, step varchar, started_at timestamptz, seconds decimal(18, 3), outcome varchar,
    rows bigint, detail varchar
);
-- one receipt per rule and batch: what retention removed, and when
create table if not exists ops.retention (
    applied_at timestamptz, as_of timestamptz, entity varchar, keep_days integer,
    keep_from timestamptz, source_name varchar, batch_id varchar, n_rows bigint, n_rejects bigint,
    n_files bigint, n_bytes bigint
);
create table if not exists ops.state (key varchar primary key, value varchar);
create table if not exists ml.satisfaction_scores (
    conversation_key varchar, p_satisfied decimal(9, 6), reasons json, model_name varchar,
    model_version integer, model_digest varchar, features_digest varchar
);
create table if not exists ml.comment_scores (
    conversation_key varchar, p_satisfied decimal(9, 6), reasons json, model_name varchar,
    model_version integer, model_digest varchar, features_digest varchar
);
-- a row per text, not per message: the same words are scored once, and a text that changes is another
create table if not exists ml.sentiment_scores (
    text_hash ubigint, sentiment varchar, p_negative decimal(9, 6), p_neutral decimal(9, 6),
    p_positive decimal(9, 6), words json, model_name varchar, model_version integer,
    model_digest varchar
);
create table if not exists ml.segment_scores (
    customer_key varchar, segment_id integer, segment_name varchar, distance decimal(18, 6),
    model_name varchar, model_version integer, model_digest varchar, features_digest varchar
);
-- a row where a scoring put a customer elsewhere than the one before; no name: it was not scored
create table if not exists ml.segment_changes (
    customer_key varchar, scored_as_of timestamptz, segment_id integer, segment_name varchar,
    model_digest varchar
);
create table if not exists ml.value_scores (
    customer_key varchar, p_alive decimal(9, 6), expected_orders_90d decimal(18, 6),
    expected_value_90d decimal(18, 2), expected_orders_365d decimal(18, 6),
    expected_value_365d decimal(18, 2), model_name varchar, model_version integer,
    model_digest varchar, features_digest varchar
);
create table if not exists ml.model_decisions (
    decision_id varchar primary key, decided_at timestamptz, model_name varchar,
    model_version integer, run_id varchar, decision varchar, reason varchar, metric varchar,
    baseline_value decimal(9, 6), champion_value decimal(9, 6), challenger_value decimal(9, 6),
    n_train bigint, n_test bigint, split varchar, data_digest varchar, config_digest varchar,
    code_version varchar, decided_by varchar, model_digest varchar
);
create table if not exists ml.model_health (
    health_id varchar, as_of timestamptz, model_name varchar, model_version integer,
    measure varchar, part varchar, part_value varchar, value decimal(18, 6),
    lower_value decimal(18, 6), upper_value decimal(18, 6), reference decimal(18, 6), n bigint,
    window_start timestamptz, state varchar
);
-- no primary key: a plan deletes and inserts the same ids in one transaction, which with an index
-- ends the whole process when the disk is full
create table if not exists care.follow_ups (
    follow_up_id varchar, customer_key varchar, conversation_key varchar,
    reason_code varchar, reason varchar, channel varchar, owner varchar, due_at timestamptz,
    priority integer, rank integer, status varchar, planned_as_of timestamptz, evidence json
);
-- merge: whom these contact points belong to is one person; split: these belong to another person than
-- those they were joined with. Keys only, so that nothing personal is kept here.
create table if not exists care.identity_decisions (
    decision_id varchar, decided_at timestamptz, decided_by varchar, action varchar, reason varchar,
    points varchar[], undone_at timestamptz, undone_by varchar
);
"""


def raw_columns(table: str) -> tuple[str, ...]:
    """Canonical columns of a raw table, without the tail that all share."""
    return EMAIL_COLUMNS if table == "email_messages" else ENTITIES[table]


def raw_tables() -> list[str]:
    """Names of all raw tables, mapped entities first."""
    return [*ENTITIES, "email_messages"]


def create_recorded_tables(con: DuckDBPyConnection) -> None:
    """Create every recorded schema and table that is not there yet."""
    con.execute(RECORDED)
    for table in raw_tables():
        columns = ", ".join(f"{column} varchar" for column in raw_columns(table))
        con.execute(f"create table if not exists raw.{table} ({columns}, {RAW_TAIL})")
