"""Feature files that a training run was made of, kept as long as the run is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from carelake.settings import Home
from ml.features import CONVERSATIONS, FILES


def keep_features(home: Home, folder: Path) -> Path:
    """Keep the feature files below a run for `train --from-run`; they cost no room while both are there.

    Args:
        home: where.
        folder: of the feature files; its name is the digest of its content.
    """
    kept = home.kept_features / folder.name
    if kept.exists():
        return kept
    draft = kept.with_name(kept.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in FILES:
        source = folder / name
        if not source.exists():
            continue
        try:
            os.link(source, draft / name)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, draft / name)
    draft.rename(kept)
    return kept


def kept_features(home: Home, digest: str) -> Path | None:
    """The folder of a run's feature files, None when they are gone."""
    for folder in (home.kept_features / digest, home.features / digest):
        if (folder / CONVERSATIONS).exists():
            return folder
    return None
