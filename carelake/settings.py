"""Where everything lies (`Home`) and how it behaves (`Settings`, from `carelake.yml`).

Importing this module is cheap (pydantic and yaml only), so the command line and DAG files may.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from carelake import strict_yaml
from carelake.errors import ConfigError
from carelake.setting_groups.alerts import Alerts
from carelake.setting_groups.base import Strict, TimeZone
from carelake.setting_groups.company import ModelSettings, OwnIdentities
from carelake.setting_groups.health import ModelHealth
from carelake.setting_groups.keeping import RETENTION, Keeping, Retention
from carelake.setting_groups.links import Links
from carelake.setting_groups.replicas import Replicas
from carelake.setting_groups.service import Channel as Channel
from carelake.setting_groups.service import ServiceLevel
from carelake.shown import one_line

if TYPE_CHECKING:
    from carelake.source_list import SourceList

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: `dbt_project/`, `dags/` and `expectations/` lie here."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Home:
    """The one data directory of a company; two homes never touch."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """The home `CARELAKE_HOME` names, `var/` below the working directory without it."""
        return cls(Path(os.environ.get("CARELAKE_HOME") or "var").expanduser().resolve())

    @property
    def landing(self) -> Path:
        """Immutable files as the sources gave them, with their manifests."""
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        """The private DuckDB file; one writer."""
        return self.root / "warehouse.duckdb"

    @property
    def lock(self) -> Path:
        """The flock every writer takes; it names its holder."""
        return self.root / "warehouse.lock"

    @property
    def published(self) -> Path:
        """What readers may open."""
        return self.root / "published"

    @property
    def ops(self) -> Path:
        """The last attempt, its reasons, and freshness: rewritten by every run."""
        return self.published / "ops.duckdb"

    @property
    def features(self) -> Path:
        """Feature files, one folder per content digest."""
        return self.root / "ml" / "features"

    @property
    def health(self) -> Path:
        """What was found of champions on features, one file each."""
        return self.root / "ml" / "health"

    @property
    def kept_features(self) -> Path:
        """The feature files of training runs that MLflow still has."""
        return self.root / "ml" / "kept"

    @property
    def scores(self) -> Path:
        """Score files on their way to the warehouse."""
        return self.root / "ml" / "scores"

    @property
    def decisions(self) -> Path:
        """One JSON file per decision of the model gate."""
        return self.root / "ml" / "decisions"

    @property
    def mlflow_dir(self) -> Path:
        """MLflow's backend and artifacts."""
        return self.root / "mlflow"

    @property
    def mlflow_uri(self) -> str:
        """Tracking and registry address: `MLFLOW_TRACKING_URI`, else SQLite in this home."""
        return os.environ.get("CARELAKE_MLFLOW_URI") or f"sqlite:///{self.mlflow_dir / 'mlflow.db'}"

    @property
    def owns_mlflow(self) -> bool:
        """Whether MLflow's store lies in this home, and nobody else writes it."""
        return self.mlflow_uri.startswith(f"sqlite:///{self.mlflow_dir}")

    @property
    def mlflow_artifacts(self) -> Path:
        """Where runs keep their files."""
        return self.mlflow_dir / "artifacts"

    @property
    def airflow(self) -> Path:
        """`AIRFLOW_HOME`."""
        return self.root / "airflow"

    @property
    def gx(self) -> Path:
        """Great Expectations' working directory."""
        return self.root / "gx"

    @property
    def data_docs(self) -> Path:
        """The pages Great Expectations writes."""
        return self.root / "data_docs"

    @property
    def dbt(self) -> Path:
        """Dbt's target and log folders."""
        return self.root / "dbt"

    @property
    def state(self) -> Path:
        """Ports, passwords and process ids of the services."""
        return self.root / "state"

    @property
    def renewed_secrets(self) -> Path:
        """Refresh tokens that replaced those of connections."""
        return self.state / "renewed_secrets"

    @property
    def counts(self) -> Path:
        """How many records each source said it has, one JSON file per source."""
        return self.state / "counts"

    @property
    def logs(self) -> Path:
        """The journal: one line of JSON per command and step."""
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        """Files that live as long as one load."""
        return self.root / "tmp"

    @property
    def pepper_file(self) -> Path:
        """The secret behind every key; mode 0600."""
        return self.root / "pepper"

    @property
    def remembered_sources(self) -> Path:
        """Holds the path of the source list this home was set up with."""
        return self.root / "sources.path"

    def is_initialised(self) -> bool:
        """Whether `carelake init` has run here."""
        return self.warehouse.exists() and (
            self.pepper_file.exists() or bool(os.environ.get("CARELAKE_PEPPER"))
        )


def prepare_environment(home: Home) -> None:
    """Point every tool at this home and switch telemetry off; call before a heavy import.

    What this process makes from here on is its owner's alone; what readers may open, `publish`
    opens to them.

    Raises:
        ConfigError: an address holds a password, which messages and logs would repeat.
    """
    os.umask(0o077)
    if re.search(r"://[^/@]*:[^/@]*@", home.mlflow_uri):
        raise ConfigError(
            "CARELAKE_MLFLOW_URI: holds a password, which logs would repeat; take it out and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (for a database, PGPASSWORD)"
        )
    values = {
        "AIRFLOW_HOME": str(home.airflow),
        "MLFLOW_TRACKING_URI": home.mlflow_uri,
        "MPLCONFIGDIR": str(home.root / "cache" / "matplotlib"),
        "MPLBACKEND": "Agg",
        "DBT_PROFILES_DIR": str(PROJECT / "dbt_project"),
        "DBT_TARGET_PATH": str(home.dbt / "target"),
        "DBT_LOG_PATH": str(home.dbt / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "SCARF_ANALYTICS": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for key, value in values.items():
        os.environ[key] = value
    os.environ.setdefault("OMP_NUM_THREADS", "2")


class Settings(Strict):
    """Everything `carelake.yml` may say. `CARELAKE__KEY=value` in the environment wins."""

    reporting_timezone: TimeZone = Field(default="UTC", description="Zone in which a day begins")
    default_region: str = Field(default="CN", description="ISO country of numbers without a prefix")
    business_hours: dict[str, list[str]] = Field(
        default={day: ["09:00-18:00"] for day in DAYS[:5]},
        description="Intervals per day: {mon: ['09:00-12:00', '13:00-18:00']}",
    )
    holidays: list[dt.date] = Field(default=[], description="Days without business hours")
    index_window_days: int = Field(default=90, ge=1, description="Window of the care index")
    value_floor: float = Field(default=0.1, gt=0, le=1, description="Least customer value in CS")
    cv_basis: Literal["monetary", "perceived"] = Field(
        default="monetary", description="What customer value is: money, or the customer's NPS"
    )
    ces_easy_is: Literal["high", "low"] = Field(
        default="high", description="Which end of a CES survey (1-7) means little effort"
    )
    unanswered_days: int = Field(
        default=3, ge=1, description="Our last message unanswered so long closes a conversation"
    )
    matter_window_hours: int = Field(
        default=72,
        ge=0,
        description="A customer who asks about the same need so soon after, on any channel, is about the same "
        "matter; 0 joins by case numbers alone",
    )
    reply_within_minutes: dict[Channel, int] = Field(
        default={"chat": 3, "phone": 1440, "email": 1440, "social": 240, "in_person": 1440},
        description="First reply due, per channel",
    )
    service_levels: list[ServiceLevel] = Field(
        default=[],
        description="Promises with a day from which they hold; before it, and without any, "
        "`reply_within_minutes` is what is due",
    )
    phone_answer_within_seconds: int = Field(
        default=20,
        ge=1,
        description="A call answered so soon counts for the service level of phones",
    )
    own_identities: OwnIdentities = OwnIdentities()
    kept_versions: int = Field(default=5, ge=1, description="Published versions kept")
    parquet_month_from: int = Field(
        default=1_000_000, ge=0, description="Marts with more rows become Parquet files by month"
    )
    build_threads: int = Field(default=2, ge=1, description="Threads of DuckDB and dbt")
    build_memory: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)? ?(MB|GB|MiB|GiB)$",
        description="Memory DuckDB may take, as in 4GB; models are then built one at a time. "
        "Without, it takes up to 80 % of the machine's",
    )
    settle_seconds: int = Field(
        default=120, ge=0, description="How long a build waits for extracts under way"
    )
    random_seed: int = Field(default=20240601, description="Seed of every random choice")
    ml: ModelSettings = ModelSettings()
    model_health: ModelHealth = ModelHealth()
    alerts: Alerts = Alerts()
    links: Links = Links()
    retention: Retention = RETENTION
    keeping: Keeping = Keeping()
    replicas: Replicas = Field(default=[], description="Databases that are given every publication")

    @field_validator("business_hours")
    @classmethod
    def _known_hours(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for day, intervals in value.items():
            if day not in DAYS:
                raise ValueError(f"'{day}' is no day; use one of {', '.join(DAYS)}")
            for interval in intervals:
                _interval(interval)
        return value

    @field_validator("service_levels")
    @classmethod
    def _told_apart(cls, value: list[ServiceLevel]) -> list[ServiceLevel]:
        known = [(level.metric, level.channel, level.since) for level in value]
        for level in value:
            if known.count((level.metric, level.channel, level.since)) > 1:
                raise ValueError(
                    f"{level.metric} of {level.channel} since {level.since} is there twice; keep one"
                )
        return value

    @property
    def duckdb(self) -> dict[str, Any]:
        """What a connection for heavy work is opened with."""
        return {"threads": self.build_threads, "memory": self.build_memory}

    def opening_intervals(self) -> list[tuple[int, dt.time, dt.time]]:
        """Rows (ISO day of week, opens, closes), in order."""
        return [
            (DAYS.index(day) + 1, *_interval(interval))
            for day in DAYS
            for interval in self.business_hours.get(day, [])
        ]

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read `carelake.yml`; a missing file means the defaults.

        Raises:
            ConfigError: naming file, key and mend.
        """
        content = read_yaml(path) if path.exists() else {}
        content.update(_environment_overrides())
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ConfigError(explain(path, error, known=cls.model_fields)) from error


def _interval(text: str) -> tuple[dt.time, dt.time]:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", text.strip())
    if not match:
        raise ValueError(f"'{text}' is no interval; write 09:00-18:00")
    hours = [int(part) for part in match.groups()]
    if hours[2:] == [24, 0]:
        hours[2:] = [23, 59]
    opens, closes = dt.time(hours[0], hours[1]), dt.time(hours[2], hours[3])
    if opens >= closes:
        raise ValueError(f"'{text}' ends before it begins")
    return opens, closes


def _environment_overrides() -> dict[str, Any]:
    """Top-level keys from `CARELAKE__KEY`, their values read as YAML."""
    prefix = "CARELAKE__"
    return {
        key.removeprefix(prefix).lower(): _override(key, value)
        for key, value in os.environ.items()
        if key.startswith(prefix)
    }


def _override(key: str, value: str) -> Any:
    try:
        return strict_yaml.parse(value)
    except yaml.YAMLError as error:
        what = strict_yaml.problem(error)[1]
        raise ConfigError(f"{key}: its value is not valid YAML ({what}); mend it") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, `{}` when it is empty.

    Raises:
        ConfigError: the file cannot be read, is not YAML or not a mapping.
    """
    try:
        content = strict_yaml.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check path and rights"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        number, what = strict_yaml.problem(error)
        line = f" line {number}" if number else ""
        raise ConfigError(f"{path}:{line} is not valid YAML ({what}); mend the line") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must be a mapping of keys, found a {type(content).__name__}")
    return content


def explain(
    path: Path,
    error: ValidationError,
    names: dict[int, str] | None = None,
    known: Collection[str] = (),
) -> str:
    """The first fault of a validated file in one line: file, key, what is wrong.

    Args:
        names: of the sources, by their place in the list.
        known: keys, of which the one most like an unknown one is named.
    """
    fault = error.errors()[0]
    where = list(fault["loc"])
    if names and len(where) > 1 and where[0] == "sources" and isinstance(where[1], int):
        where[:2] = [f"source '{names.get(where[1], where[1])}'"]
    key = ".".join(str(part) for part in where) or "(file)"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        like = difflib.get_close_matches(str(where[-1]), known, n=1)
        meant = f" (did you mean {like[0]}?)" if like else ""
        message = f"unknown key{meant}; remove it or correct its spelling"
    elif fault["type"] == "missing":
        message = "is missing; add it"
    elif not message.endswith((".", "'")) and "input" in fault and fault["type"] != "value_error":
        message = f"{message} (found {str(fault['input'])[:60]!r})"
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return one_line(f"{path}: {key}: {message}{more}")


@dataclass(frozen=True)
class Context:
    """What every step of the pipeline is given."""

    home: Home
    settings: Settings
    sources: SourceList
    run_id: str = field(default="manual")

    @property
    def config_dir(self) -> Path:
        """Folder of `sources.yml`, and of `carelake.yml`, `followup.yml` and `custom/` beside it."""
        return self.sources.path.parent
