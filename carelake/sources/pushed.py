"""Kinds `whatsapp` and `chatwoot_webhook`: what a service pushed to `carelake webhooks serve`.

The endpoint makes batches itself, and an extract finds nothing to do; where no endpoint runs, it seals
what the last one left.
"""

from __future__ import annotations

from pathlib import Path

from carelake.landing import manifests
from carelake.source import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.push_journal import AlreadyServed, only_writer, seal
from carelake.window import EVERYTHING, Window


def extract(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
) -> ExtractResult:
    """Seal what an endpoint left that runs no more."""
    try:
        with only_writer(landing, source.name):
            manifest = seal(landing, source)
    except AlreadyServed:
        n_batches = len(manifests(landing, source.name))
        message = f"the endpoint runs, and seals what comes; {n_batches:,} batches so far"
        return ExtractResult(source.name, "nothing_new", message=message)
    if manifest is None:
        message = "nothing was pushed; `carelake webhooks serve` takes it"
        return ExtractResult(source.name, "nothing_new", message=message)
    n_bytes = sum(file.n_bytes for file in manifest.files)
    return ExtractResult(
        source.name,
        "extracted",
        [manifest.batch_id],
        len(manifest.files),
        n_bytes,
        f"{n_bytes:,} bytes that an endpoint left",
    )
