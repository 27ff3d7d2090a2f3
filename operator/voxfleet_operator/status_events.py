"""Has the Events of a status recorded when that status was written.

Knows which status was written last: a watch that is behind may show an older one. Does not know which change is an
Event (status/events.py), nor how Events are sent (cluster/writing/event_recorder.py).
"""

from dataclasses import dataclass, field

from voxfleet_operator.cluster.writing.event_recorder import EventRecorder
from voxfleet_operator.cluster_reconciler import Turn
from voxfleet_operator.resources import Key, Resource, VoxTTSDeploymentStatus
from voxfleet_operator.status.events import cause_of, events_of


@dataclass(frozen=True, slots=True)
class Reported:
    """The status of a resource whose Events were recorded last, and the time of the observation that it is from."""

    uid: str
    status: VoxTTSDeploymentStatus
    at: float


@dataclass(slots=True)
class StatusEvents:
    """Compares each status that is written with the one before.

    `started_at`: a reclaim of a spot node before it was an earlier process' to report.
    """

    recorder: EventRecorder
    started_at: float
    reported: dict[Key, Reported] = field(default_factory=dict)

    def written(self, resource: Resource, status: VoxTTSDeploymentStatus, turn: Turn | None, now: float) -> None:
        """Record the Events of a status that was written for `resource`; without a turn nothing was observed."""
        before = self.reported.get(resource.key)
        if before is None or before.uid != resource.uid:
            before = Reported(resource.uid, resource.status, self.started_at)
        plans = turn.plan.regions if turn else {}
        causes = {name: cause_of(plan, turn.observed.regions.get(name)) for name, plan in plans.items() if turn}
        self.recorder.record(resource, events_of(before.status, status, causes, before.at), now)
        # The longest parts make no Event, and there is one of these per resource.
        kept = status.model_copy(update={"cost": None, "applied": None})
        self.reported[resource.key] = Reported(resource.uid, kept, turn.now if turn else before.at)

    def forget(self, key: Key) -> None:
        """Drop what is kept of a deleted resource."""
        self.reported.pop(key, None)
        self.recorder.forget(key)
