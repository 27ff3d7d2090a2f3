"""The operator around its own decisions: observe a region, decide, apply. The shell is simulated, decisions are not.

Knows what of a simulated region is observed, and how each action changes it. Does not know when an action is right
(voxfleet_operator.decisions).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from voxfleet_gateway.decisions.demand_lease import Lease, next_renew_time
from voxfleet_operator.decisions.actions import (
    Action,
    ClearMark,
    Drain,
    MarkAsleep,
    MarkRetiring,
    Protect,
    RenewLease,
    Undrain,
    UnmarkRetiring,
    Unprotect,
)
from voxfleet_operator.decisions.capacity.pools import pools_of
from voxfleet_operator.decisions.capacity.schedules import next_schedule_at, scheduled
from voxfleet_operator.decisions.observed import LeaseState, LoadState, LocalState, RegionState, WorkloadState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.region_history import RegionHistory
from voxfleet_operator.decisions.region_plan import decide
from voxfleet_operator.decisions.stages import REQUEUE_SECONDS
from voxfleet_operator.resources import Autoscaling, Failure, LastWake, Phase, VoxTTSDeploymentSpec

from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.region import SimulatedRegion
from voxfleet_simulation.world.servers import TEMPLATE, Server

WATCH_SECONDS = 0.05  # from an event to the reconcile that it starts; half of what the operator's promise allows


NEVER = float("inf")


@dataclass(slots=True)
class SimulatedOperator:
    """Reconciles one region of the resource."""

    region: SimulatedRegion
    spec: VoxTTSDeploymentSpec
    autoscaling: Autoscaling
    loop: EventLoop
    held: Callable[[int], int]  # requests held for a region, by its index
    on_plan: Callable[[RegionPlan], None]
    on_lease: Callable[[int], None]
    is_suspended: bool = False
    history: RegionHistory = field(default_factory=RegionHistory)
    phase: Phase | None = None
    last_wake: LastWake | None = None
    failure: Failure | None = None
    next_at: float = NEVER
    is_notified: bool = False
    decided: tuple[int, float] = (-1, 0.0)  # changes of the load at the newest decision, and until when it holds
    reconciles: int = 0

    def notify(self) -> None:
        """Reconcile soon: something has changed."""
        self.is_notified = True
        self._schedule(self.loop.now + WATCH_SECONDS)

    def notify_of(self, _server: Server) -> None:
        """Reconcile soon: a pod has changed."""
        self.notify()

    def _schedule(self, at: float) -> None:
        if at < self.next_at - 1e-9:
            self.next_at = at
            self.loop.at(at, self._due, at)

    def _due(self, at: float) -> None:
        if at == self.next_at:  # else an earlier reconcile has taken its place
            self.next_at = NEVER
            if self._would_change_nothing():
                self._schedule(min(self.decided[1], self.loop.now + REQUEUE_SECONDS))
            else:
                self.reconcile()

    def _would_change_nothing(self) -> bool:
        """Whether a poll of an idle region has read what the one before has: its plan holds until time changes it."""
        asked = self.history.asked
        is_same = not self.is_notified and self.decided[0] == self.region.load_changes
        is_settled = bool(asked) and all(count == asked[-1][1] for _, count in asked)
        is_idle = not self.region.open_requests and not self.held(self.region.index)
        return is_same and is_settled and is_idle and self.loop.now < self.decided[1]

    def reconcile(self) -> None:
        """Observe, decide, act."""
        now = self.loop.now
        self.reconciles += 1
        self.is_notified = False
        observed = self.observe(now)
        plan = decide(observed, now)
        if plan.pools.on_demand + plan.pools.spot or observed.replicas or plan.replicas:
            self._apply(plan)
        for action in plan.actions:
            self._execute(action, now)
        has_changed = (plan.phase, plan.last_wake, plan.failure) != (self.phase, self.last_wake, self.failure)
        self.phase, self.last_wake, self.failure = plan.phase, plan.last_wake, plan.failure
        if has_changed:
            self.on_plan(plan)
        due = [plan.requeue_at] if plan.requeue_at is not None else []
        self.decided = self.region.load_changes, min(due, default=NEVER)
        if plan.replicas or self.region.servers:
            due.append(now + REQUEUE_SECONDS)  # the gateways' next readings
        if due:
            self._schedule(max(min(due), now + WATCH_SECONDS))

    def observe(self, now: float) -> RegionState:
        """Return the region as the operator observes it."""
        region = self.region
        observed = RegionState(
            name=region.name,
            generation=1,
            autoscaling=scheduled(self.autoscaling, now) if self.autoscaling.schedules else self.autoscaling,
            is_suspended=self.is_suspended,
            capacity=self.spec.capacity,
            drain_seconds=self.spec.disruption.drain_seconds,
            workloads=tuple(region.workloads.values()),
            pods=tuple(server.pod_state() for server in region.servers.values()),
            changes_at=next_schedule_at(self.autoscaling, now) if self.autoscaling.schedules else None,
            lease=_lease_state(region.lease),
            load=self._load(now),
            previous_phase=self.phase,
            last_wake=self.last_wake,
            failure=self.failure,
            proven_templates=dict.fromkeys(region.workloads, TEMPLATE),
        )
        self.history.record(observed, now)
        local: LocalState = self.history.local_state(0.0, now)
        return replace(observed, local=local)

    def _load(self, now: float) -> LoadState:
        region = self.region
        if region.is_lost:
            return LoadState(unknown_reason="the gateways of the region do not answer")
        pods = tuple(server.pod_load(now) for server in region.servers.values() if server.ready_at is not None)
        return LoadState(
            as_of=now,
            pods=pods,
            open_requests=sum(pod.open_requests for pod in pods),
            held_requests=self.held(region.index),
            waiting_sequences=sum(pod.waiting_sequences for pod in pods),
            last_request_finished_at=region.last_finished_at,
        )

    def _apply(self, plan: RegionPlan) -> None:
        workloads = {
            pool: WorkloadState(
                replicas=plan.pools.of(pool),
                woken_at=plan.woken_at,
                woken_reason=plan.woken_reason,
                template=TEMPLATE,
                generation=1,
                pool=pool,
                region_replicas=plan.replicas,
                pool_replicas=plan.targets.of(pool),
                spot_reclaimed_at=plan.spot_reclaimed_at,
                proven_template=TEMPLATE,
                failure=plan.failure,
            )
            for pool in pools_of(self.spec.capacity)
        }
        if workloads != self.region.workloads:
            self.region.scale(workloads)

    def _execute(self, action: Action, now: float) -> None:
        match action:
            case MarkAsleep():
                self._set_lease(replace(self.region.lease, asleep_since=_moment(now)))
            case ClearMark():
                self._set_lease(replace(self.region.lease, asleep_since=None))
            case RenewLease(renew_to):
                renewed = next_renew_time(replace(self.region.lease, asleep_since=None), _moment(renew_to))
                self._set_lease(replace(self.region.lease, renew_time=renewed, asleep_since=None))
            case Drain(pod) | Undrain(pod):
                server = self.region.servers.get(pod.name)
                if server is not None:
                    self.region.drain(server, is_on=isinstance(action, Drain))
            case MarkRetiring(pod, cost, at):
                self._mark(pod.name, deletion_cost=cost, retiring_since=at)
            case UnmarkRetiring(pod):
                self._mark(pod.name, deletion_cost=0, retiring_since=None)
            case Protect(pod) | Unprotect(pod):
                self._protect(pod.name, is_on=isinstance(action, Protect))
            case _:
                pass  # ConfirmAsleep: nothing can come between a decision and its apply here

    def _set_lease(self, lease: Lease) -> None:
        self.region.lease = lease
        self.on_lease(self.region.index)
        self.notify()

    def _mark(self, name: str, *, deletion_cost: int, retiring_since: float | None) -> None:
        server = self.region.servers.get(name)
        if server is not None:
            server.deletion_cost, server.retiring_since = deletion_cost, retiring_since
            server.changed()
            self.notify()

    def _protect(self, name: str, *, is_on: bool) -> None:
        server = self.region.servers.get(name)
        if server is not None:
            server.is_protected = is_on
            server.changed()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _lease_state(lease: Lease) -> LeaseState:
    renewed_at = lease.renew_time.timestamp() if lease.renew_time else None
    asleep_since = lease.asleep_since.timestamp() if lease.asleep_since else None
    return LeaseState(lease.resource_version, renewed_at, asleep_since, raw_renewed_at=renewed_at)
