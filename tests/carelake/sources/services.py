"""How each kind whose block stands for several sources is tried: its page, its service, its rows."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carelake.landing import manifests
from carelake.settings import Context, Home, Settings
from carelake.source_list import SourceList
from carelake.sources.batches import ExtractResult
from carelake.sources.extract import extract_source
from carelake.warehouse.load import load
from carelake.warehouse.schema import raw_columns
from carelake.warehouse.setup import initialise
from carelake.window import Window
from tests.carelake.sources.faulty_api import Service
from tests.carelake.sources.live import (
    chatwoot,
    dynamics,
    facebook,
    intercom,
    salesforce,
    twilio,
    wechat,
    wecom,
    x,
    zendesk,
    zoho,
)

DOCS = Path(__file__).parents[3] / "docs"


@dataclass(frozen=True)
class Kind:
    """How one kind is tried.

    Attributes:
        page: of the documentation, whose block of this kind is run.
        service: makes the service with its records.
        expected: rows per raw table after one extract and load, worked out by hand.
        connection: the environment variable's text; `URL` is where the service listens.
        hosts: addresses in the page's YAML that the service stands for.
    """

    page: str
    service: type[Service]
    expected: dict[str, list[dict[str, Any]]]
    connection: dict[str, Any]
    hosts: tuple[str, ...] = ()


LOGIN = {"conn_type": "http", "host": "URL", "login": "client", "password": "s3cret"}
KINDS: dict[str, Kind] = {
    "chatwoot": Kind(
        "chat",
        chatwoot.Chatwoot,
        chatwoot.EXPECTED,
        {**LOGIN, "login": "unused", "password": "s3cret-access-token"},
    ),
    "facebook": Kind(
        "social",
        facebook.Facebook,
        facebook.EXPECTED,
        {**LOGIN, "login": "unused", "password": "EAAGm0PX4ZCps3cret"},
    ),
    "wecom_kf": Kind("chat", wecom.Wecom, wecom.EXPECTED, LOGIN),
    "wechat_oa": Kind("chat", wechat.Wechat, wechat.EXPECTED, LOGIN),
    "dynamics": Kind(
        "crm",
        dynamics.Dynamics,
        dynamics.EXPECTED,
        LOGIN,
        hosts=("https://login.microsoftonline.com",),
    ),
    "intercom": Kind("chat", intercom.Intercom, intercom.EXPECTED, {**LOGIN, "login": "unused"}),
    "salesforce": Kind("crm", salesforce.Salesforce, salesforce.EXPECTED, LOGIN),
    "twilio": Kind("phone", twilio.Twilio, twilio.EXPECTED, {**LOGIN, "login": "SK0123"}),
    "x": Kind("social", x.X, x.EXPECTED, {**LOGIN, "login": "unused"}),
    "zendesk": Kind(
        "chat", zendesk.Zendesk, zendesk.EXPECTED, {**LOGIN, "login": "api@shop.example/token"}
    ),
    "zoho": Kind(
        "crm",
        zoho.Zoho,
        zoho.EXPECTED,
        {**LOGIN, "extra": {"refresh_token": "r3fresh"}},
        hosts=("https://accounts.zoho.com",),
    ),
}


class Company:
    """One block of the documentation, its service, and a home."""

    def __init__(self, kind: str, root: Path, url: str, patch: pytest.MonkeyPatch) -> None:
        """Make the home; nothing is read yet."""
        rule = KINDS[kind]
        text = block_of(rule.page, kind)
        for host in rule.hosts:
            text = text.replace(host, url)
        (root / "sources.yml").write_text(f"sources:\n{text}", encoding="utf-8")
        sources = SourceList.load(root / "sources.yml")
        name = sources.blocks[0].connection or ""
        said = json.dumps(rule.connection).replace("URL", url)
        patch.setenv(f"AIRFLOW_CONN_{name.upper()}", said)
        patch.setenv("CARELAKE_PEPPER", "p")
        self.ctx = Context(Home(root / "home"), Settings(), sources)
        initialise(self.ctx)

    def extract(self, window: Window | None = None) -> list[ExtractResult]:
        """Read every source of the block, as the command does."""
        home = self.ctx.home
        return [
            extract_source(
                source, self.ctx.config_dir, home.landing, window or Window(None, None),
                secrets=home.renewed_secrets,
            )
            for source in self.ctx.sources.sources
        ]  # fmt: skip

    def load(self) -> None:
        """Load what was landed."""
        for result in load(self.ctx):
            assert result.held_reason is None, result

    def rows(self, newest: bool = False) -> dict[str, list[dict[str, Any]]]:
        """What the raw tables hold, without NULLs; the last row of each record when `newest`."""
        found: dict[str, list[dict[str, Any]]] = {}
        landed = {
            f"{m.extracted_at:%Y-%m-%dT%H:%M:%S.%fZ}" for m in manifests(self.ctx.home.landing)
        }
        with duckdb.connect(str(self.ctx.home.warehouse), read_only=True) as con:
            for table in sorted({s.raw_table for s in self.ctx.sources.sources}):
                columns = (*raw_columns(table), "attributes")
                said = con.execute(
                    f"select {', '.join(columns)} from raw.{table} order by batch_seq, file_name, row_number"
                ).fetchall()
                rows = [told(dict(zip(columns, row, strict=True)), landed) for row in said]
                if newest:
                    rows = list(
                        {row.get(columns[0], i): row for i, row in enumerate(rows)}.values()
                    )
                found[table] = rows
        return found


def newest_of(table: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last row of each record."""
    ident = raw_columns(table)[0]
    return list({row.get(ident, i): row for i, row in enumerate(found)}.values())


def told(row: dict[str, Any], landed: set[str]) -> dict[str, Any]:
    """A row without its NULLs, and without what depends on the clock."""
    if row.get("updated_at") in landed:
        row["updated_at"] = "LANDED"
    kept = {name: value for name, value in row.items() if value is not None}
    if "attributes" in kept:
        kept["attributes"] = json.loads(kept["attributes"])
    return kept


def block_of(page: str, kind: str) -> str:
    """The block of a kind, complete as it stands in the documentation."""
    text = (DOCS / f"sources-{page}.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    found = next(block for block in blocks if f"kind: {kind}\n" in block)
    if kind != "wechat_oa":
        return found
    # it is asked day by day: a first reading of whole years takes its time
    days = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=5)
    return re.sub(r"(?<=initial: )\d{4}-\d\d-\d\d", str(days), found)


def ordered(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Rows in an order of their own."""
    return {
        table: sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in found)
        for table, found in rows.items()
    }
