"""The parts that know where requests come from, built and run together.

Knows: which part needs which. Does not know: how any part works.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp

from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.location.peer_rtt_sync import PeerRttSync
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.rtt_sync import RTT_PATH, RttSync
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.regions import Location
from voxfleet_gateway.server.clients.client_locator import ClientLocator
from voxfleet_gateway.server.clients.proxied_site import ProxiedConnections
from voxfleet_gateway.server.clients.rtt import Rtt
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.tokens import gateway_token


@dataclass(frozen=True, slots=True)
class Clients:
    """What finds clients, learns their round trips and exchanges them."""

    locator: ClientLocator
    proxied: ProxiedConnections
    rtt: Rtt
    sync: RttSync
    peer_sync: PeerRttSync | None = None  # with gateways of other regions

    async def run(self) -> None:
        """Read databases again and exchange round trips, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.locator.database.run(), name="locations")
            group.create_task(self.sync.run(), name="round trips")
            if self.peer_sync is not None:
                group.create_task(self.peer_sync.run(), name="round trips of peers")


def open_clients(
    settings: Settings,
    dispatcher: Dispatcher,
    session: aiohttp.ClientSession,
    others: Callable[[], Sequence[PodAddress]],
    peering: Peering | None = None,
) -> Clients:
    """Build the parts around a dispatcher, which from then on uses what is learned. Raises SettingsError."""

    def places() -> dict[str, Location | None]:
        entries = (entry for model in dispatcher.fleet.registry().entries.values() for entry in model.regions)
        return {entry.name: entry.location for entry in entries}

    def urls() -> list[str]:
        sisters = [address.internal_url(RTT_PATH) for address in others()]
        return sisters + [f"http://{peer}{RTT_PATH}" for peer in settings.peers]

    key = settings.internal_key.get_secret_value()
    store, database = RttStore(settings.region, places), LocationDatabase(settings.location_paths)
    database.open()
    dispatcher.round_trips = store.round_trips
    proxied = ProxiedConnections(settings.balancer_networks)
    locator = ClientLocator(settings, database, store, proxied.source)
    sync = RttSync(session, store, urls, gateway_token(key))
    peer_sync = PeerRttSync(store, peering.regions, peering.spills.client) if peering is not None else None
    return Clients(locator, proxied, Rtt(store, dispatcher, key), sync, peer_sync)
