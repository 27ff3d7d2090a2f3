"""One inference server: rows, a queue, and the pod around it as the operator observes it.

Knows: a request without a row waits, first come first served. Does not know gateways, machines, decisions.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.observed import Leaving, PodLoadState, PodState, StartUpState
from voxfleet_operator.names import POOL_ON_DEMAND

from voxfleet_simulation.world.requests import Request

if TYPE_CHECKING:
    from voxfleet_simulation.world.machines import Node

NAMESPACE, DEPLOYMENT = "simulation", "fleet"
TEMPLATE = "template"  # digest of the only pod template


@dataclass(slots=True, eq=False)
class Server:
    """A pod with one server."""

    number: int
    region: str
    created_at: float
    rows: int
    most_queued: int
    pool: str = POOL_ON_DEMAND
    node: "Node | None" = None
    scheduled_at: float | None = None
    start_seconds: float = 0.0
    ready_at: float | None = None
    stopped_at: float | None = None  # since when it admits no requests
    is_draining: bool = False
    is_deleting: bool = False
    is_gone: bool = False
    deletion_cost: int = 0
    retiring_since: float | None = None
    is_protected: bool = True  # pods are created with the annotations
    leaving: Leaving | None = None
    scale_up: ScaleUpState | None = None
    running: dict[int, Request] = field(default_factory=dict)  # by number
    queue: deque[Request] = field(default_factory=deque)
    last_finished_at: float | None = None
    observed: PodState | None = None  # kept until the pod changes
    report: LoadReport | None = None  # kept until the load changes
    name: str = field(init=False)
    address: PodAddress = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.region}-{self.number}"
        self.address = PodAddress(self.name)

    @property
    def open_requests(self) -> int:
        """Requests that have a row or wait for one."""
        return len(self.running) + len(self.queue)

    @property
    def is_admitting(self) -> bool:
        """Whether the server takes new requests."""
        return self.ready_at is not None and not (self.is_draining or self.is_deleting or self.is_gone)

    @property
    def is_full(self) -> bool:
        """Whether a further request is refused."""
        return len(self.running) >= self.rows and len(self.queue) >= self.most_queued

    def changed(self) -> None:
        """Drop what was kept of the pod's state."""
        self.observed = self.report = None

    def load_report(self) -> LoadReport:
        """Return what /internal/load answers."""
        if self.report is None:
            state = "ready" if self.is_admitting else "draining" if self.ready_at is not None else "loading"
            self.report = LoadReport(
                state=state,  # type: ignore[arg-type]
                open_requests=self.open_requests,
                running_sequences=len(self.running),
                waiting_sequences=len(self.queue),
                free_rows=self.rows - len(self.running),
            )
        return self.report

    def endpoint(self) -> PodEndpoint:
        """Return the pod's endpoint."""
        return PodEndpoint(self.address, self.name, is_ready=self.is_admitting, is_terminating=self.is_deleting)

    def pod_state(self) -> PodState:
        """Return the pod as the operator observes it."""
        if self.observed is None:
            self.observed = PodState(
                namespace=NAMESPACE,
                name=self.name,
                deployment=DEPLOYMENT,
                region=self.region,
                created_at=self.created_at,
                pool=self.pool,
                node=self.node.name if self.node is not None and self.scheduled_at is not None else "",
                deletion_cost=self.deletion_cost,
                leaving=self.leaving,
                retiring_since=self.retiring_since,
                is_protected=self.is_protected,
                address=self.name,
                ready_at=self.ready_at if self.is_admitting else None,
                is_deleting=self.is_deleting,
                is_running=self.scheduled_at is not None,
                scale_up=self.scale_up if self.scheduled_at is None else None,
                scheduled_at=self.scheduled_at,
                sandbox_at=self.scheduled_at,
                started_at=self.scheduled_at,
                is_watched_from_creation=True,
                template=TEMPLATE,
            )
        return self.observed

    def pod_load(self, now: float) -> PodLoadState:
        """Return the pod's load as the operator reads it."""
        ready_at = self.ready_at if self.ready_at is not None else now
        return PodLoadState(
            self.name,
            now,
            self.open_requests,
            len(self.queue),
            StartUpState(0.0, self.start_seconds, 0.0, ready_at),
            state=self.load_report().state,
            last_request_finished_at=self.last_finished_at,
        )
