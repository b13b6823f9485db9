"""A person's word on a version: promote, reject, roll back. Recorded like the gate's, and kept by it.

The alias moves first and the decision is written after it, both by what decisions say and not by
what the alias is: a call that was cut is made again and ends where it would have ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mlflow.entities.model_registry import ModelVersion

from carelake.errors import ConfigError
from carelake.settings import Home
from ml.registry import CHALLENGER, Registry, now
from ml.results import GATE, MODELS, Decision, Verdict, read_decisions

Verb = Literal["promote", "reject", "rollback"]


def decide(
    home: Home, verb: Verb, name: str, version: int | None, who: str, reason: str
) -> tuple[Decision, bool]:
    """Take a person's decision; gives it, and whether it is new.

    Args:
        home: whose registry.
        verb: what to do.
        name: of the model.
        version: which one; without, the challenger. A rollback finds the former champion itself.
        who: decides.
        reason: why; the same person's same words again are the same decision.

    Raises:
        ConfigError: no such model or version, nothing to go back to, or the version is champion
            already, or is not to be rejected since it is.
        UntrustedModel: the version's files are not those registered.
    """
    check_name(name)
    if not reason.strip() or not who.strip():
        raise ConfigError("a decision needs a reason (--reason) and a name (--by)")
    registry = Registry(home)
    decisions = read_decisions(home, name)
    same = _same(decisions, verb, version, who, reason)
    if same is not None:
        _place(registry, verb, same)
        return same, False
    if verb == "rollback":
        found = find_version(registry, name, _former(name, decisions))
    else:
        found = find_version(registry, name, version)
    number = int(found.version)
    reigning = champions(decisions)[-1:]
    if verb == "promote" and reigning == [number]:
        raise ConfigError(f"{name} version {number} is champion already")
    if verb == "reject" and reigning == [number]:
        raise ConfigError(
            f"{name} version {number} is champion: promote another, or `carelake models rollback {name}`"
        )
    if verb != "reject":
        registry.load(found)  # checks that its files are those registered
    decision = _decision(name, found, decisions, verb, who, reason)
    _place(registry, verb, decision)
    decision.write(home.decisions)
    return decision, True


def champions(decisions: list[Decision]) -> list[int]:
    """Versions that came to be champion and were not rolled back from, the reigning one last.

    Args:
        decisions: on one model, oldest first.
    """
    line: list[int] = []
    for each in decisions:
        number = each.model_version
        if number is None or not each.promoted:
            continue
        if each.decision == "rolled_back" and number in line:
            del line[len(line) - line[::-1].index(number) :]
        elif line[-1:] != [number]:
            line.append(number)
    return line


def put_aside(decisions: list[Decision]) -> dict[int, Decision]:
    """Versions that a person rejected or went back from: the gate does not promote these again.

    Args:
        decisions: on one model, oldest first.
    """
    aside: dict[int, Decision] = {}
    for place, each in enumerate(decisions):
        if each.decided_by == GATE or each.model_version is None:
            continue
        if each.decision == "rolled_back":
            before = champions(decisions[:place])
            after = champions(decisions[: place + 1])
            aside |= dict.fromkeys(before[len(after) :], each)
        elif each.decision == "rejected":
            aside[each.model_version] = each
        if each.promoted:
            aside.pop(each.model_version, None)
    return aside


def check_name(name: str) -> None:
    """Stop at a model nobody knows.

    Raises:
        ConfigError: it is none of ours.
    """
    if name not in MODELS:
        raise ConfigError(f"'{name}' is no model; models: {', '.join(MODELS)}")


def find_version(registry: Registry, name: str, version: int | None) -> ModelVersion:
    """A version by number, the challenger without one.

    Raises:
        ConfigError: there is none.
    """
    there = registry.versions(name)
    known = ", ".join(str(each.version) for each in there) or "none yet"
    if version is None:
        challengers = [each for each in there if CHALLENGER in each.aliases]
        if not challengers:
            raise ConfigError(f"{name} has no challenger; name a version (there: {known})")
        return challengers[0]
    for each in there:
        if int(each.version) == version:
            return each
    raise ConfigError(f"{name} has no version {version}; there: {known}")


def _former(name: str, decisions: list[Decision]) -> int:
    line = champions(decisions)
    if not line:
        raise ConfigError(f"{name} has no champion to go back from")
    if len(line) == 1:
        raise ConfigError(
            f"{name} version {line[0]} is the first champion: there is none to go back to"
        )
    return line[-2]


def _same(
    decisions: list[Decision], verb: Verb, version: int | None, who: str, reason: str
) -> Decision | None:
    """The newest decision, if this call only repeats it."""
    if not decisions:
        return None
    last = decisions[-1]
    told = (last.decision, last.decided_by, last.reason)
    if told != (_VERDICTS[verb], who, reason):
        return None
    return last if version in (None, last.model_version) else None


_VERDICTS: dict[Verb, Verdict] = {
    "promote": "promoted",
    "reject": "rejected",
    "rollback": "rolled_back",
}


def _decision(
    name: str, found: ModelVersion, decisions: list[Decision], verb: Verb, who: str, reason: str
) -> Decision:
    """What is known of the version, with this person's word on it."""
    number = int(found.version)
    known = [each for each in decisions if each.model_version == number]
    if not known:
        raise ConfigError(
            f"{name} version {number} was left by a training that was cut; `carelake train` decides on it"
        )
    count = sum(each.decided_by != GATE for each in decisions)
    return replace(
        known[-1],
        decision_id=f"{name}-person-{count + 1}",
        # a clock that was set back must not put this before what it overrules
        decided_at=max(now(), decisions[-1].decided_at),
        decision=_VERDICTS[verb],
        decided_by=who,
        reason=reason,
        model_digest=str(found.tags["model_digest"]),
    )


def _place(registry: Registry, verb: Verb, decision: Decision) -> None:
    number = decision.model_version
    if number is None:
        return
    if verb == "reject":
        registry.dismiss(decision.model_name, number)
    else:
        registry.crown(decision.model_name, number)
    tags = {"decision": decision.decision, "decided_by": decision.decided_by}
    for key, value in tags.items():
        registry.client.set_model_version_tag(decision.model_name, str(number), key, value)
