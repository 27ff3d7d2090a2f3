"""Every reason that a condition can have: those of states here, those of problems in their own table.

docs/conditions.md is made from them. Does not know when a condition has which reason (conditions.py).
"""

from collections.abc import Mapping
from typing import Final

from voxfleet_operator.status.condition_types import (
    DEGRADED,
    READY,
    RECONCILING,
    REGION_FAILED,
    STALLED,
    VERIFIED,
    Reason,
)
from voxfleet_operator.status.problem_reasons import PROBLEMS

_WAKE_FAILED: Final = (READY, VERIFIED, STALLED)

STATES: Final[Mapping[str, Reason]] = {
    "Serving": Reason("Every region is ready, asleep or waking on demand; at least one is ready.", "", (READY,)),
    "Asleep": Reason("Every region is asleep on purpose; the next request wakes it.", "", (READY,)),
    "Suspended": Reason("spec.suspend is true: nothing is served until it is false.", "", (READY,)),
    "Waking": Reason(
        "A region is starting; the message says what it waits for. Ready stays True while it wakes on demand, because "
        "gateways hold the requests, and is False until replicas that minReplicas asks for are ready.",
        "",
        (READY, RECONCILING),
        "VoxFleetWakeSlow",
    ),
    "FetchingWeights": Reason(
        "A Job fetches the weights into their claim; no server starts before it has. The message says how far it is.",
        "",
        (READY,),
        "VoxFleetWakeSlow",
    ),
    "Draining": Reason("A region is going to zero; its servers finish their open requests.", "", (RECONCILING,)),
    "Settled": Reason(
        "Reconciling: no region is waking or draining, and nothing is retried. Stalled: no region has failed, and no "
        "object was rejected for good.",
        "",
        (RECONCILING, STALLED),
    ),
    "Paused": Reason(
        "The annotation voxfleet.dev/reconcile: paused stops all changes.",
        "Remove it to resume.",
        (RECONCILING,),
    ),
    "WakeSucceeded": Reason("A region became ready with this generation of the spec.", "", (VERIFIED,)),
    "NotYetWoken": Reason(
        "No region has become ready with this generation of the spec yet; the first request wakes one.",
        "",
        (VERIFIED,),
    ),
    "AsExpected": Reason("No problem is known.", "", (DEGRADED,)),
    "WakeTimeout": Reason(
        "No server was ready within wakeTimeoutSeconds; the message says what it was waiting for.",
        "Mend that; raise autoscaling.wakeTimeoutSeconds if this is only slow.",
        _WAKE_FAILED,
        REGION_FAILED,
    ),
    "WeightsInvalid": Reason(
        "The server rejected its weights three times; the message says why.",
        "Correct model.source.",
        _WAKE_FAILED,
        REGION_FAILED,
    ),
}
REASONS: Final[Mapping[str, Reason]] = {**STATES, **PROBLEMS}
