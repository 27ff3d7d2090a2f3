"""The parts of the fleet page's API, put together.

Knows: which part calls which. Does not know: how any of them works.
"""

import time
from dataclasses import dataclass

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.cluster.lease_watch import LeaseWatch
from voxfleet_gateway.decisions.fleet.recent_decisions import RecentDecisions
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.fleet.audience import Audience
from voxfleet_gateway.server.fleet.events import FleetEvents
from voxfleet_gateway.server.fleet.feed import FleetFeed
from voxfleet_gateway.server.fleet.operations import Operations
from voxfleet_gateway.server.fleet.replicas import GatewayReplicas, ReplicaHandler
from voxfleet_gateway.server.fleet.rows import FleetRows
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.requests.request_body import BodyBudget
from voxfleet_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class FleetPage:
    """What the fleet page reads, and what its buttons do."""

    events: FleetEvents
    operations: Operations
    replicas: GatewayReplicas
    handler: ReplicaHandler


def open_fleet_page(  # noqa: PLR0913, PLR0917  # the parts that it reads
    settings: Settings,
    dispatcher: Dispatcher,
    accounts: Accounts,
    health: Health,
    leases: LeaseWatch,
    bodies: BodyBudget,
    peering: Peering | None,
    replicas: GatewayReplicas,
) -> FleetPage:
    """Return the page's parts; from now on the dispatcher's decisions are kept for it."""
    rows, recent = FleetRows(dispatcher.fleet, others=replicas.held), RecentDecisions()
    operations = Operations(dispatcher, leases, bodies)
    if peering is not None:
        rows.fault = operations.fault = peering.fault
        rows.peer_report, rows.peer_silent = peering.regions.newest_report, peering.regions.silent_gateways

    def keep(model: ModelEntry, context: RequestContext) -> None:
        if context.decided is not None:
            request = context.request_id, context.started_seconds
            recent.record(request, time.time(), context.caller.tenant, model.ref, context.decided)

    dispatcher.on_decision = keep
    feed = FleetFeed(rows, recent, settings.pod_name, replicas.begin)
    replicas.on_change, replicas.on_silence = feed.mark_many, feed.mark_all
    replicas.on_decisions = feed.report_decisions
    if peering is not None:
        peering.regions.on_report = feed.mark
    audience = Audience(feed, dispatcher.may_use, settings.pod_name, settings.region)
    events = FleetEvents(
        audience, accounts, health, settings.max_fleet_streams, dispatcher.is_synced, ask_others=replicas.refresh
    )
    return FleetPage(events, operations, replicas, ReplicaHandler(feed, replicas.token))
