"""Extract by kind; the one place that knows which kinds there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from carelake.landing import DamagedManifest
from carelake.source_list import Source
from carelake.sources.batches import ExtractResult
from carelake.sources.files import extract_files
from carelake.window import EVERYTHING, Window

KINDS: dict[str, Callable[[Source, Path, Path, Window], ExtractResult]] = {
    "files": extract_files,
    "mbox": extract_files,
}


def extract_source(
    source: Source, base: Path, landing: Path, window: Window = EVERYTHING
) -> ExtractResult:
    """Land what is new at one source; a fault of the source is a result, not an exception.

    That the landing zone cannot be written is no fault of the source, and is raised.

    Args:
        base: folder that relative paths start from.
        landing: the home's landing zone.
        window: take only what lies in it; each kind says what that means there.
    """
    try:
        return KINDS[source.kind](source, base, landing, window)
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
