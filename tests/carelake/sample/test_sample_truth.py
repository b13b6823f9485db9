"""The truth says of every record in every file what it is worth, and says it rightly."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from conftest import Written

CSV_ENCODING = {"surveys": "gb18030"}


def csv_records(path: Path) -> list[bytes]:
    """Split a CSV into physical records; only balanced quotes carry a record over a line end."""
    records: list[bytes] = []
    open_record = b""
    may_span = path.parent.name == "surveys"
    for line in path.read_bytes().splitlines(keepends=True):
        open_record += line
        if not may_span or open_record.count(b'"') % 2 == 0:
            records.append(open_record)
            open_record = b""
    assert not open_record
    return records[1:]


def physical_records(path: Path) -> int:
    """Count the records of a file without the sample's help."""
    match path.suffix:
        case ".csv":
            return len(csv_records(path))
        case ".gz":
            return gzip.decompress(path.read_bytes()).count(b"\n")
        case ".jsonl":
            return path.read_bytes().count(b"\n")
        case ".mbox":
            return sum(line.startswith(b"From ") for line in path.read_bytes().splitlines())
        case ".json":
            return len(json_records(path))
        case ".parquet":
            return duckdb.sql(f"select * from '{path}'").shape[0]
    return 0


def json_records(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text("utf-8"))
    for step in ("result", "records", "data", "items"):
        if isinstance(content, dict) and step in content:
            content = content[step]
    assert isinstance(content, list)
    return content


def test_every_physical_record_has_one_row_of_truth(sample: Written) -> None:
    told = Counter(row["file"] for row in sample.rows)
    files = [path for path in (sample.folder / "inbox").rglob("*") if path.is_file()]
    assert told.keys() == {str(path.relative_to(sample.folder)) for path in files}
    for path in files:
        if path.suffix != ".xlsx":
            assert told[str(path.relative_to(sample.folder))] == physical_records(path), path.name
    places = {(row["file"], row["row"]) for row in sample.rows}
    assert len(places) == len(sample.rows)


def test_csv_lines_are_broken_exactly_where_the_truth_says(sample: Written) -> None:
    broken = {
        (row["file"], row["row"]): row["reason"] for row in sample.rows if row["stage"] == "load"
    }
    kinds = set()
    for path in (sample.folder / "inbox").rglob("*.csv"):
        encoding = CSV_ENCODING.get(path.parent.name, "utf-8")
        header = path.read_bytes().splitlines()[0].decode(encoding).split(",")
        for number, record in enumerate(csv_records(path), start=1):
            place = (str(path.relative_to(sample.folder)), number)
            found = defect(record, encoding, len(header))
            assert found == broken.get(place), place
            kinds.add(found)
    everything = {
        "too few fields",
        "too many fields",
        "unclosed quote",
        "NUL",
        "wrong charset",
    }
    assert kinds == {None, *everything}


def defect(record: bytes, encoding: str, width: int) -> str | None:
    """Name what is wrong with one line of CSV."""
    if b"\0" in record:
        return "NUL"
    try:
        text = record.decode(encoding)
    except UnicodeDecodeError:
        return "wrong charset"
    if text.count('"') % 2:
        return "unclosed quote"
    (cells,) = csv.reader(io.StringIO(text, newline=""))
    if len(cells) != width:
        return "too few fields" if len(cells) < width else "too many fields"
    return None


def test_json_lines_are_broken_exactly_where_the_truth_says(sample: Written) -> None:
    broken = {(row["file"], row["row"]) for row in sample.rows if row["stage"] == "load"}
    seen = 0
    for path in [
        *sample.folder.rglob("inbox/**/*.jsonl"),
        *sample.folder.rglob("*.jsonl.gz"),
    ]:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        for number, line in enumerate(content.splitlines(), start=1):
            place = (str(path.relative_to(sample.folder)), number)
            try:
                json.loads(line)
            except ValueError:
                seen += 1
                assert place in broken
            else:
                assert place not in broken
    assert seen == 5


def test_each_id_has_one_record_that_counts(sample: Written) -> None:
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in sample.rows:
        if row["id"] and row["disposition"] != "broken":
            groups[row["source"], row["id"]][row["disposition"]] += 1
    assert all(counts["good"] + counts["deleted"] == 1 for counts in groups.values())
    seen = Counter(row["disposition"] for row in sample.rows)
    assert seen == Counter(sample.summary.dispositions)
    assert min(seen[word] for word in ("duplicate", "superseded", "broken", "deleted")) > 5


def test_the_newest_version_of_a_case_is_the_one_that_counts(sample: Written) -> None:
    versions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    rows = {(row["file"], row["row"]): row for row in sample.rows}
    for path in sorted((sample.folder / "inbox/crm").glob("cases-*.json")):
        for number, case in enumerate(json_records(path), start=1):
            row = rows[str(path.relative_to(sample.folder)), number]
            if row["disposition"] != "broken":
                versions[case["case_no"]].append((case["modified"], row["disposition"]))
    assert any(len({modified for modified, _ in seen}) > 1 for seen in versions.values())
    for seen in versions.values():
        newest = max(modified for modified, _ in seen)
        assert all(modified == newest for modified, word in seen if word in ("good", "deleted"))
        assert all(modified < newest for modified, word in seen if word == "superseded")


def test_what_staging_must_refuse_is_really_refusable(sample: Written) -> None:
    reasons = {(row["source"], row["reason"]) for row in sample.rows if row["stage"] == "staging"}
    words = " ".join(reason for _, reason in reasons)
    for kind in (
        "is missing",
        "is not a time",
        "is impossible",
        "before opened_at",
        "negative",
    ):
        assert kind in words
    cases = {
        (str(path.relative_to(sample.folder)), number): case
        for path in (sample.folder / "inbox/crm").glob("cases-*.json")
        for number, case in enumerate(json_records(path), start=1)
    }
    for row in sample.rows:
        if row["source"] != "crm_cases":
            continue
        case = cases[row["file"], row["row"]]
        if row["reason"] == "first_reply_at lies before opened_at":
            assert case["first_response"] < case["created"]
        elif row["disposition"] == "good":
            assert case["created"] <= case["first_response"] <= case["modified"]
            assert case["csat"] in (None, 1, 2, 3, 4, 5)


def test_two_contacts_have_left_the_newest_export(sample: Written) -> None:
    exports: dict[str, set[str]] = defaultdict(set)
    for path in (sample.folder / "inbox/crm").glob("contacts-*.json"):
        exports[path.name.split("-")[1]] |= {
            contact["id"] for contact in json_records(path) if contact["id"]
        }
    earlier, later = (exports[day] for day in sorted(exports))
    gone = {row["id"] for row in sample.rows if row["reason"] == "not in the newest snapshot"}
    assert earlier - later == gone
    assert len(gone) == 2
