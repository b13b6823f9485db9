"""Write the sample: files of all systems, their mapping, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carelake.sample.company import Company, make_company
from carelake.sample.configuration import SETTINGS, source_list
from carelake.sample.delivery import DeliveredFile, Delivery, make_room
from carelake.sample.systems import DELIVERIES
from carelake.sample.truth import write_truth

Progress = Callable[[str, float], None]
"""Told what is being written and the share done, 0 to 1."""


@dataclass(frozen=True)
class SampleSummary:
    """What was written.

    Attributes:
        target: the folder.
        customers: people who exist, with or without a record of theirs.
        conversations: matters they came with.
        survey_answers: conversations whose customer answered the survey.
        records: delivered records by source, broken ones included.
        dispositions: delivered records by what they are worth.
        n_files: data files.
        n_bytes: their size.
        company: who is behind it all.
        files: what was delivered.
    """

    target: Path
    customers: int
    conversations: int
    survey_answers: int
    records: dict[str, int]
    dispositions: dict[str, int]
    n_files: int
    n_bytes: int
    company: Company
    files: list[DeliveredFile]


def write_sample(
    target: Path,
    customers: int = 400,
    days: int = 120,
    seed: int = 7,
    progress: Progress | None = None,
) -> SampleSummary:
    """Write the made-up company to a folder: `inbox/`, `sources.yml`, `carelake.yml`, `truth/`.

    The same arguments give the same bytes on any machine at any time.

    Args:
        target: folder to write to; an earlier sample in it is replaced.
        customers: how many people there are, at least 5.
        days: how many days from 1 January 2024, at least 7.
        seed: which company.
        progress: called with a label and the share done.

    Raises:
        ValueError: customers or days are too few, or the folder holds someone's `sources.yml`.
    """
    if customers < 5 or days < 7:
        raise ValueError("a sample needs at least 5 customers and 7 days")
    tell = progress or (lambda _label, _share: None)
    tell("people and conversations", 0.0)
    make_room(target, "truth/rows.jsonl", ("inbox", "truth", "live"))
    company = make_company(seed, customers, days)
    delivery = Delivery(target)
    for number, (label, deliver) in enumerate(DELIVERIES):
        tell(label, 0.4 + 0.5 * number / len(DELIVERIES))
        deliver(company, delivery)
    records: dict[str, int] = {}
    for file in delivery.files:
        records[file.source] = records.get(file.source, 0) + len(file.records)
    (target / "sources.yml").write_text(source_list(records), encoding="utf-8", newline="\n")
    (target / "carelake.yml").write_text(SETTINGS, encoding="utf-8", newline="\n")
    tell("truth", 0.9)
    counts = write_truth(company, delivery.files, target / "truth")
    tell("done", 1.0)
    return SampleSummary(
        target=target,
        customers=len(company.people),
        conversations=len(company.spoken),
        survey_answers=sum(spoken.talk.survey is not None for spoken in company.spoken),
        records=records,
        dispositions=counts,
        n_files=len(delivery.files),
        n_bytes=sum(file.n_bytes for file in delivery.files),
        company=company,
        files=delivery.files,
    )
