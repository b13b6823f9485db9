"""Models: feature files in, registered models and score files out.

This room reads `ml/features/<digest>/*.parquet` and writes parquet and JSON; it never opens the
warehouse. Importing the package is cheap, the heavy libraries load on the first call.
"""

from __future__ import annotations

from ml.api import compare, has_champion, overrule, repeat_run, score, train, versions, watch
from ml.results import Decision, ScoreResult, TrainResult

__all__ = [
    "Decision",
    "ScoreResult",
    "TrainResult",
    "compare",
    "has_champion",
    "overrule",
    "repeat_run",
    "score",
    "train",
    "versions",
    "watch",
]
