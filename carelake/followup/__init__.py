"""Follow-up: rules turn what the marts say into tasks with a reason, an owner and a due time."""

from __future__ import annotations

from carelake.followup.planner import PlanResult, plan
from carelake.followup.rules import FollowUpRules, load_rules, rules_path

__all__ = ["FollowUpRules", "PlanResult", "load_rules", "plan", "rules_path"]
