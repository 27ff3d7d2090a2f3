"""Reads what autoscalers say about pods without a node, from one table of their events: a node comes, or none will.

Knows Karpenter, EKS Auto Mode and the cluster autoscaler (GKE's and AKS' too). A later word replaces an earlier one; a
word that is repeated keeps its time, so that waiting for a node is bounded however often it is promised. Does not know
how long a node may take, nor what follows (pools.py).
"""

from dataclasses import dataclass

LONGEST_MESSAGE = 300  # characters; Karpenter lists every NodePool that does not fit

KARPENTER = ("karpenter", "eks-auto-mode/compute")
CLUSTER_AUTOSCALER = ("cluster-autoscaler",)


@dataclass(frozen=True, slots=True)
class Word:
    """What one reason of an event on a pod says; `sources`: the components that write it."""

    reason: str
    sources: tuple[str, ...]
    is_coming: bool


WORDS = (
    Word("Nominated", KARPENTER, is_coming=True),
    Word("FailedScheduling", KARPENTER, is_coming=False),  # a scheduler writes the same reason
    Word("TriggeredScaleUp", CLUSTER_AUTOSCALER, is_coming=True),
    Word("NotTriggerScaleUp", CLUSTER_AUTOSCALER, is_coming=False),
    Word("FailedScaleUp", CLUSTER_AUTOSCALER, is_coming=False),  # GKE: the zone is out of machines
)


@dataclass(frozen=True, slots=True)
class AutoscalerEvent:
    """An event on a pod, with the times of its first and its newest occurrence."""

    reason: str
    source: str
    first_at: float
    last_at: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class ScaleUpState:
    """The newest word of an autoscaler about a pod, and since when it says so."""

    is_coming: bool
    since: float
    autoscaler: str
    message: str = ""


def scale_up_after(before: ScaleUpState | None, event: AutoscalerEvent) -> ScaleUpState | None:
    """Return what is known of a pod's node after an event; events that say nothing about it change nothing."""
    word = next((each for each in WORDS if each.reason == event.reason and event.source in each.sources), None)
    if word is None:
        return before
    if before is None:
        return _said(word, event, event.first_at)
    if before.is_coming == word.is_coming or event.last_at < before.since:
        return before
    return _said(word, event, max(event.first_at, before.since))


def _said(word: Word, event: AutoscalerEvent, since: float) -> ScaleUpState:
    return ScaleUpState(word.is_coming, since, event.source, event.message[:LONGEST_MESSAGE])
