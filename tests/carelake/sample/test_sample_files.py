"""The files are what systems of their kind hand over, and the mapping fits them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import mailbox
from email.header import decode_header, make_header
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import openpyxl
import pytest
import yaml

from carelake.settings import Settings
from carelake.source_list import SourceList

if TYPE_CHECKING:
    from conftest import Written


def columns_of(path: Path, source: dict[str, Any]) -> set[str]:
    """Names of all columns in a file."""
    match source["format"]:
        case "csv":
            text = path.read_bytes().decode(source.get("encoding", "utf-8"), errors="replace")
            return set(next(csv.reader(io.StringIO(text))))
        case "jsonl":
            opened = (
                gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            )
            names: set[str] = set()
            for line in opened.splitlines():
                try:
                    names |= json.loads(line).keys()
                except ValueError:
                    continue
            return names
        case "json":
            rows = json.loads(path.read_text("utf-8"))
            for step in filter(None, source.get("records_path", "").split(".")):
                rows = rows[step]
            return {name for row in rows for name in row}
        case "parquet":
            return set(duckdb.sql(f"select * from '{path}'").columns)
        case _:
            return {"工号", "姓名", "邮箱", "分机", "小组", "主管"}


def test_the_product_reads_the_sources_and_settings(sample: Written) -> None:
    sources = SourceList.load(sample.folder / "sources.yml").sources
    assert len(sources) == 12
    settings = Settings.load(sample.folder / "carelake.yml")
    assert settings.reporting_timezone == "Asia/Shanghai"


def test_every_mapped_column_is_in_the_files(sample: Written) -> None:
    sources = yaml.safe_load((sample.folder / "sources.yml").read_text("utf-8"))["sources"]
    for source in sources:
        files = sorted(sample.folder.glob(source["path"]))
        assert files, source["name"]
        if source["kind"] == "mbox":
            continue
        found: set[str] = set().union(*(columns_of(path, source) for path in files))
        wanted = {*source["columns"].values(), *source.get("attributes", [])}
        assert wanted <= found, source["name"]


def test_the_owners_files_are_as_the_owner_wrote_them(sample: Written) -> None:
    folder = sample.folder / "inbox/owner"
    with (folder / "customer_communication_records.csv").open(encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header == ["channel", "communication_content", "customer_satisfaction"]
    people = json.loads((folder / "customer_data.json").read_text("utf-8"))
    assert all({"id", "age", "gender"} <= person.keys() for person in people)


def test_surveys_are_gb18030_and_nothing_else(sample: Written) -> None:
    (path,) = (sample.folder / "inbox/surveys").glob("*.csv")
    content = path.read_bytes()
    assert "满意度" in content.decode("gb18030")
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")


def test_the_mailbox_holds_threads_in_many_charsets(sample: Written) -> None:
    mails = list(mailbox.mbox(sample.folder / "inbox/mail/support.mbox"))
    assert len(mails) == sample.summary.records["support_mailbox"]
    known = {mail["Message-ID"] for mail in mails}
    replies = [mail for mail in mails if mail["In-Reply-To"]]
    assert len(replies) > 500
    assert all(mail["In-Reply-To"] in known for mail in replies)
    chained = [mail["References"].split() for mail in replies if mail["References"]]
    assert len(chained) < len(replies)
    assert all(reference in known for references in chained for reference in references)
    charsets, shapes = set(), set()
    for mail in mails:
        str(make_header(decode_header(mail["Subject"])))
        for part in mail.walk():
            shapes.add(part.get_content_type())
            if part.get_content_maintype() == "text":
                charset = part.get_content_charset()
                assert charset
                charsets.add(charset)
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                assert payload.decode(charset).strip()
    assert {"gb18030", "gb2312", "utf-8", "us-ascii", "iso-8859-1"} <= charsets
    assert {"text/plain", "text/html", "multipart/alternative", "image/png"} <= shapes
    assert sum(mail["Auto-Submitted"] is not None for mail in mails) > 20


def test_the_staff_list_is_a_workbook_that_opens(sample: Written) -> None:
    book = openpyxl.load_workbook(sample.folder / "inbox/staff/agents.xlsx")
    head, *rows = book.worksheets[0].iter_rows(values_only=True)
    assert {"工号", "姓名", "小组"} <= set(head)
    assert len(rows) == sample.summary.records["agents"]
    assert rows[0][head.index("工号")] == "A01"


def test_volumes_suit_a_first_run(sample: Written) -> None:
    assert 14_000 < sum(sample.summary.records.values()) < 25_000
    assert sample.summary.n_bytes < 8_000_000
