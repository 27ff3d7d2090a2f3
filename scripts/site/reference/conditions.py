"""The conditions of a VoxTTSDeployment, their reasons, and the phases of a region, from the operator's tables.

Knows: the tables.
Does not know: when a condition has which reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from voxfleet_operator.resources.status import PHASES, Phase
from voxfleet_operator.status.condition_types import CONDITIONS, Reason
from voxfleet_operator.status.event_drafts import EVENTS
from voxfleet_operator.status.problem_reasons import PROBLEMS
from voxfleet_operator.status.reasons import STATES

from reference.schema_words import table


def condition_types() -> list[str]:
    """Return the types of conditions."""
    rows = [(name, each.meaning, each.look_when) for name, each in CONDITIONS.items()]
    return table(("condition", "True means", "look at it when"), rows)


def state_reasons() -> list[str]:
    """Return the reasons of states, and of wakes that failed."""
    return _reasons(STATES)


def problem_reasons() -> list[str]:
    """Return the reasons of problems."""
    return _reasons(PROBLEMS)


def _reasons(reasons: Mapping[str, Reason]) -> list[str]:
    rows = [(f"`{name}`", ", ".join(each.conditions), each.meaning, _remedy(each)) for name, each in reasons.items()]
    return table(("reason", "of", "meaning", "what to do"), rows)


def _remedy(reason: Reason) -> str:
    runbook = f"Runbook: docs/runbooks/{reason.alert}.md" if reason.alert else ""
    return "<br>".join(filter(None, (reason.remedy, runbook)))


def event_reasons() -> list[str]:
    """Return the reasons of Events that are of a region and of no condition alone."""
    return table(("reason", "type", "when"), ((f"`{name}`", each.type, each.meaning) for name, each in EVENTS.items()))


def phases() -> list[str]:
    """Return the phases of a region."""
    return table(("phase", "meaning"), ((f"`{phase}`", PHASES[phase]) for phase in Phase))
