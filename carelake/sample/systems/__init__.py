"""One module for each system that hands over files: what it writes, and how it is mapped.

Each has `SOURCE`, its entry of the source list, and `deliver(company, delivery)`.
"""

from __future__ import annotations

from collections.abc import Callable

from carelake.sample.company import Company
from carelake.sample.delivery import Delivery
from carelake.sample.systems import (
    agents,
    calls,
    chat,
    crm_cases,
    crm_contacts,
    mailbox,
    owner_files,
    shop,
    social,
    surveys,
)

SOURCES: tuple[str, ...] = (
    agents.SOURCE,
    crm_contacts.SOURCE,
    crm_cases.SOURCE,
    mailbox.SOURCE,
    calls.SOURCE,
    chat.SOURCE,
    social.SOURCE,
    surveys.SOURCE,
    shop.SOURCE,
    owner_files.SOURCE,
)

DELIVERIES: tuple[tuple[str, Callable[[Company, Delivery], None]], ...] = (
    ("agents", agents.deliver),
    ("CRM contacts", crm_contacts.deliver),
    ("CRM cases", crm_cases.deliver),
    ("mailbox", mailbox.deliver),
    ("calls", calls.deliver),
    ("chat", chat.deliver),
    ("social posts", social.deliver),
    ("surveys", surveys.deliver),
    ("orders", shop.deliver),
    ("the owner's files", owner_files.deliver),
)
