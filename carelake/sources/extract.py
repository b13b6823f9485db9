"""Extract by kind; the one place that knows which kinds there are."""

from __future__ import annotations

import importlib
from pathlib import Path

from carelake.landing import DamagedManifest
from carelake.source import Source
from carelake.source_kinds import Kind
from carelake.sources.batches import ExtractResult
from carelake.sources.renewed_secrets import kept_in
from carelake.window import EVERYTHING, Window

MODULES: dict[Kind, str] = {
    "files": "files",
    "mbox": "files",
    "maildir": "mail_files",
    "eml": "mail_files",
    "imap": "imap",
    "rest": "rest",
    "postgres": "database",
    "mysql": "database",
    "mongodb": "mongodb",
    "asterisk_cdr": "files",
    "freeswitch_cdr": "files",
    "transcripts": "files",
    "whatsapp": "pushed",
    "chatwoot_webhook": "pushed",
    "salesforce": "rest",
    "zoho": "rest",
    "dynamics": "rest",
    "zendesk": "rest",
    "intercom": "rest",
    "chatwoot": "rest",
    "wecom_kf": "rest",
    "wechat_oa": "rest",
    "twilio": "rest",
    "x": "rest",
    "facebook": "rest",
}
"""Module of `carelake.sources` that reads a kind; its `extract` is called.

Imported when a source of the kind is read: an unused kind costs nothing.
"""


def extract_source(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
    secrets: Path | None = None,
) -> ExtractResult:
    """Land what is new at one source; a fault of the source is a result, not an exception.

    That the landing zone cannot be written is no fault of the source, and is raised.

    Args:
        base: folder that relative paths start from.
        landing: the home's landing zone.
        window: take only what lies in it; each kind says what that means there.
        is_probe: take the first file or page only.
        secrets: folder that keeps what services renew; without, it is lost.
    """
    try:
        module = importlib.import_module(f"carelake.sources.{MODULES[source.kind]}")
        with kept_in(secrets):
            found: ExtractResult = module.extract(source, base, landing, window, is_probe=is_probe)
        return found
    except DamagedManifest as error:
        return ExtractResult(source.name, "failed", message=str(error))
    except OSError as error:
        message = (
            f"{error.filename or source.path}: {error.strerror or error}; check path and rights"
        )
        return ExtractResult(source.name, "failed", message=message)
    except (ValueError, IndexError) as error:
        message = f"path {source.path}: is no pattern of file names ({error})"
        return ExtractResult(source.name, "failed", message=message)
