"""Extract by kind; the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from carelake.landing import DamagedManifest
from carelake.source_list import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.files import extract_files
from carelake.window import EVERYTHING, Window


def _extract_rest(
    source: Source, base: Path, landing: Path, window: Window, **options: Any
) -> ExtractResult:
    # what only this kind needs takes a second to import
    from carelake.sources.rest import extract_rest

    return extract_rest(source, base, landing, window, **options)


KINDS: dict[str, Callable[..., ExtractResult]] = {
    "files": extract_files,
    "mbox": extract_files,
    "rest": _extract_rest,
}


def extract_source(
    source: Source,
    base: Path,
    landing: Path,
    window: Window = EVERYTHING,
    *,
    is_probe: bool = False,
) -> ExtractResult:
    """Land what is new at one source; a fault of the source is a result, not an exception.

    That the landing zone cannot be written is no fault of the source, and is raised.

    Args:
        base: folder that relative paths start from.
        landing: the home's landing zone.
        window: take only what lies in it; each kind says what that means there.
        is_probe: take the first file or page only.
    """
    try:
        return KINDS[source.kind](source, base, landing, window, is_probe=is_probe)
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
