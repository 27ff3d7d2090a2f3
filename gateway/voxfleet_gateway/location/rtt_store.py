"""What this process has learned of round trips, with the clock.

Knows: which regions exist and where, when a measurement is worth taking, how many reports of clients are taken.
Does not know: how estimates are made (decisions/rtt/); connections; other gateways (rtt_sync.py).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voxfleet_gateway.decisions.client_location import RegionPlaces, expected_rtts_seconds
from voxfleet_gateway.decisions.location.client_place import ClientPlace
from voxfleet_gateway.decisions.routing import RttSource
from voxfleet_gateway.decisions.rtt.exchange import ExchangedCell, ExchangedCells, export, merge
from voxfleet_gateway.decisions.rtt.peer_exchange import merge_from_peer
from voxfleet_gateway.decisions.rtt.round_trips import round_trips
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.regions import Location
from voxfleet_gateway.telemetry import RTT_GROUPS, RTT_SAMPLES

PLACES_SECONDS = 10.0  # between two looks at the registry for names and places of regions
REPORTS_PER_SECOND = 50  # of all clients together; a page reports once when it is loaded

Source = Literal["connection", "report"]


@dataclass(slots=True)
class RttStore:
    """Shared by all requests."""

    gateway_region: str
    find_places: Callable[[], Mapping[str, Location | None]] = dict  # of every region in the registry
    model: RttModel = field(default_factory=RttModel)
    places: Mapping[str, Location | None] = field(default_factory=dict)
    places_at_seconds: float | None = None
    reports_in_second: tuple[int, int] = (0, 0)  # the second, and how many reports it had

    def round_trips(
        self, client: ClientPlace, regions: RegionPlaces, gateway_region: str
    ) -> tuple[tuple[float, ...], RttSource]:
        """Return the round trips between a client and regions, in their order, and where they are from."""
        return round_trips(self.model, client, regions, gateway_region, time.monotonic())

    def measured(self, client: ClientPlace, seconds: float | None) -> None:
        """Learn the round trip of a client's own connection to this gateway's region."""
        if client.is_direct and seconds is not None:
            self._record(client, self.gateway_region, seconds, "connection")

    def reported(self, client: ClientPlace, seconds_by_region: Mapping[str, float]) -> bool:
        """Learn what a client has measured itself, for its own prefix alone; return False beyond the limit."""
        second = int(time.monotonic())
        count = self.reports_in_second[1] if self.reports_in_second[0] == second else 0
        self.reports_in_second = (second, count + 1)
        if count >= REPORTS_PER_SECOND:
            return False
        for region, seconds in seconds_by_region.items():
            self._record(client, region, seconds, "report")
        return True

    def export(self, max_age_seconds: float) -> dict[str, Any]:
        """Return what another gateway may take over."""
        return export(self.model, time.monotonic(), max_age_seconds)

    def export_to_peers(self, max_age_seconds: float, max_rows: int) -> dict[str, Any]:
        """Return what gateways of other regions may take over: round trips to this region."""
        now_seconds = time.monotonic()
        return export(self.model, now_seconds, max_age_seconds, region=self.gateway_region, max_rows=max_rows)

    def merge_from_peer(self, rows: Iterable[ExchangedCell], region: str) -> int:
        """Take over what a gateway of another region has learned about that; return how many figures."""
        if region == self.gateway_region or region not in self.regions():
            return 0
        return merge_from_peer(self.model, rows, region, time.monotonic())

    def merge(self, received: ExchangedCells) -> int:
        """Take over what another gateway has learned; return how many figures."""
        return merge(self.model, received, self.regions(), time.monotonic())

    def regions(self) -> Mapping[str, Location | None]:
        """Return the regions of the registry with their places."""
        now_seconds = time.monotonic()
        if self.places_at_seconds is None or now_seconds - self.places_at_seconds > PLACES_SECONDS:
            self.places, self.places_at_seconds = self.find_places(), now_seconds
        return self.places

    def refresh_gauges(self) -> None:
        """Set the gauges."""
        for level, groups in self.model.levels.items():
            RTT_GROUPS.labels(level).set(len(groups.cells))

    def _record(self, client: ClientPlace, region: str, seconds: float, source: Source) -> None:
        regions = self.regions()
        if region not in regions:
            return
        places = tuple(regions.items()) if client.location is None else ((region, regions[region]),)
        priors = expected_rtts_seconds(client.location, places, self.gateway_region)
        prior_seconds = dict(zip((name for name, _ in places), priors, strict=True))[region]
        used = self.model.record(
            client.network,
            region,
            seconds,
            prior_seconds=prior_seconds,
            now_seconds=time.monotonic(),
            is_reported=source == "report",
        )
        RTT_SAMPLES.labels(source, "yes" if used else "no").inc()
