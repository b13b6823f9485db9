"""`followup.yml`: who is contacted, why, by whom and until when. Checked before anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from carelake.errors import ConfigError
from carelake.followup.template import NUMBERS, placeholders
from carelake.setting_groups.base import Strict
from carelake.settings import explain, read_yaml

SHIPPED = Path(__file__).with_name("followup.yml")

CANDIDATE_COLUMNS: dict[str, str] = {
    "customer_key": "varchar", "conversation_key": "varchar", "conversation_recency": "bigint",
    "channel": "varchar", "category": "varchar", "language": "varchar", "status": "varchar",
    "outcome_state": "varchar", "opened_at": "timestamptz", "first_reply_at": "timestamptz",
    "closed_at": "timestamptz", "n_inbound": "bigint", "n_outbound": "bigint",
    "first_reply_minutes": "decimal(18, 3)", "resolution_minutes": "decimal(18, 3)",
    "handle_seconds": "decimal(18, 3)", "is_reopened": "boolean",
    "waiting_minutes": "decimal(18, 3)", "days_since_opened": "integer",
    "days_since_contact": "integer", "satisfaction": "decimal(9, 6)", "survey_kind": "varchar",
    "survey_score": "decimal(9, 2)", "survey_comment": "varchar",
    "p_satisfied": "decimal(9, 6)", "model_reasons": "varchar", "model_name": "varchar",
    "model_version": "integer", "agent_name": "varchar", "team": "varchar",
    "owner_agent_name": "varchar", "segment_name": "varchar", "age": "integer",
    "gender": "varchar", "city": "varchar", "country": "varchar", "preferred_channel": "varchar",
    "n_conversations": "bigint", "n_orders": "bigint", "order_value": "decimal(18, 2)",
    "last_contact_at": "timestamptz", "last_order_at": "timestamptz",
    "days_since_last_order": "integer", "days_since_first_seen": "integer",
    "reason_language": "varchar",
}  # fmt: skip
"""What `when`, `urgency` and `reason` may name. The satisfaction index is left out on purpose: it
falls as a customer's value rises at equal care, so it must not decide who is contacted."""

INDEX_COLUMNS = {"cs", "csf", "cv", "tp", "cs_in_value_band"}


class Rule(Strict):
    """One reason to contact a customer."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="Short name, snake_case")
    when: str = Field(min_length=1, description="SQL condition over the candidate columns")
    reason: str = Field(min_length=1, description="What the agent reads; {column} is filled in")
    reason_zh: str | None = Field(
        default=None, min_length=1, description="The same in Chinese; without it, `reason` is read"
    )
    channel: Literal["preferred", "conversation", "phone", "email", "chat", "social"] = Field(
        default="preferred", description="Wished channel; taken where the customer can be reached"
    )
    owner: str = Field(
        default="agent",
        min_length=1,
        description="agent (of the conversation), owner_agent (of the customer), or a name or team",
    )
    due_within_hours: int = Field(
        default=24, ge=1, le=24 * 60, description="Hours from the opening of the planned day"
    )
    priority: int = Field(default=3, ge=1, le=9, description="1 goes first")
    urgency: str = Field(
        default="1 - coalesce(p_satisfied, 0.5)",
        description="SQL number; within a priority the greatest goes first",
    )

    @field_validator("reason", "reason_zh")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        for column, style in placeholders(value or ""):
            if column not in CANDIDATE_COLUMNS:
                raise ValueError(_unknown(column))
            if style and not CANDIDATE_COLUMNS[column].startswith(NUMBERS):
                raise ValueError(f"'{column}' is no number; remove ':{style}'")
        return value


class FollowUpRules(Strict):
    """The whole of `followup.yml`."""

    daily_capacity: int = Field(default=12, ge=0, description="Tasks per agent and working day")
    capacity_of: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="Other capacities: owner: tasks per working day"
    )
    cool_down_days: int = Field(
        default=14, ge=0, description="Quiet time after a follow-up was done or dropped"
    )
    horizon_days: int = Field(
        default=5, ge=1, le=60, description="Working days filled; the rest waits for the next plan"
    )
    fallback_owner: str = Field(
        default="care team", min_length=1, description="Owner of what has no agent"
    )
    language: Literal["en", "zh", "conversation"] = Field(
        default="en",
        description="In which language reasons are read: one for all, or that of the conversation",
    )
    rules: list[Rule] = Field(default=[], description="In order; equals go to the earlier one")
    path: Path = Field(default=SHIPPED, exclude=True)

    @model_validator(mode="after")
    def _unique(self) -> FollowUpRules:
        codes = [rule.code for rule in self.rules]
        for code in codes:
            if codes.count(code) > 1:
                raise ValueError(f"rule '{code}' stands twice; rename one")
        return self

    @classmethod
    def load(cls, path: Path) -> FollowUpRules:
        """Read and check a rules file, conditions included; no warehouse is needed.

        Raises:
            ConfigError: naming file, rule, key and mend.
        """
        content = read_yaml(path)
        try:
            rules = cls.model_validate({**content, "path": path})
        except ValidationError as error:
            raise ConfigError(_with_rule_name(path, error, content.get("rules"))) from error
        _check_sql(rules)
        return rules


def rules_path(config_dir: Path) -> Path:
    """The company's `followup.yml` beside its source list, else the one shipped."""
    own = config_dir / "followup.yml"
    return own if own.exists() else SHIPPED


def load_rules(config_dir: Path) -> FollowUpRules:
    """Load the rules that hold for a company.

    Args:
        config_dir: the folder of its `sources.yml`.

    Raises:
        ConfigError: naming file, rule, key and mend.
    """
    return FollowUpRules.load(rules_path(config_dir))


def _with_rule_name(path: Path, error: ValidationError, rules: object) -> str:
    text = explain(path, error)
    where = error.errors()[0]["loc"]
    if len(where) > 1 and where[0] == "rules" and isinstance(where[1], int):
        rule = rules[where[1]] if isinstance(rules, list) else None
        code = rule.get("code") if isinstance(rule, dict) else None
        text = text.replace(f"rules.{where[1]}", f"rule '{code or where[1]}'", 1)
    return text


def _check_sql(rules: FollowUpRules) -> None:
    """Bind every expression against an empty table with the candidates' columns."""
    import duckdb

    columns = ", ".join(f"{name} {sql_type}" for name, sql_type in CANDIDATE_COLUMNS.items())
    with duckdb.connect() as con:
        con.execute("set autoinstall_known_extensions = false")
        con.execute("set enable_external_access = false")
        con.execute(f"create table candidates ({columns})")
        for rule in rules.rules:
            for key, text, sql_type in (
                ("when", rule.when, "boolean"),
                ("urgency", rule.urgency, "double"),
            ):
                statement = f"select *, (\n{text}\n)::{sql_type} from candidates"
                try:
                    if len(con.extract_statements(statement)) != 1:
                        raise ValueError("holds more than one statement; write one condition")
                    con.execute(statement)
                except (duckdb.Error, ValueError) as error:
                    raise ConfigError(
                        f"{rules.path}: rule '{rule.code}': {key}: {_explain_sql(error)}"
                    ) from error


def _explain_sql(error: Exception) -> str:
    import re

    message = str(error).splitlines()[0]
    missing = re.search(r'Referenced column "([^"]+)" not found', message)
    if missing:
        return _unknown(missing.group(1))
    return f"{message.removeprefix('Parser Error: ')}; mend the SQL"


def _unknown(column: str) -> str:
    if column.lower() in INDEX_COLUMNS:
        return (
            f"'{column}' cannot decide who is contacted: the index falls as a customer's value "
            "rises; use satisfaction or p_satisfied"
        )
    return f"no column '{column}'; use one of {', '.join(CANDIDATE_COLUMNS)}"
