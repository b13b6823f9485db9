"""What each step does; in which order they run is in `carelake.pipeline`.

What a step needs is imported inside it: a command, or a task of a DAG, takes one step only.
"""

from __future__ import annotations

from collections.abc import Callable

from carelake.steps import arriving, building, giving_out, keeping
from carelake.steps.result import StepResult

__all__ = ["STEPS", "StepResult"]

STEPS: dict[str, Callable[..., StepResult]] = {
    "extract": arriving.extract,
    "load": arriving.load,
    "has_news": arriving.has_news,
    "check_batches": lambda ctx, progress: building.check(ctx, progress, "raw", docs=False),
    "build_features": lambda ctx, progress: building.build(ctx, progress, "features"),
    "score": building.score,
    "train": building.train,
    "overrule": building.overrule,
    "build_marts": lambda ctx, progress: building.build(ctx, progress, "marts"),
    "plan_follow_ups": building.plan_follow_ups,
    "check_marts": lambda ctx, progress: building.check(ctx, progress, "marts"),
    "publish": giving_out.publish,
    "check_freshness": giving_out.check_freshness,
    "replicate": giving_out.replicate,
    "drop_derived": keeping.drop_derived,
    "apply_retention": keeping.apply_retention,
    "tidy": keeping.tidy,
}
