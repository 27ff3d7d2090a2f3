"""The gauges of pods and circuits, which change with time alone, before a scrape.

Knows: what is read of each region. Does not know: when it is scraped, what changes a region (fleet.py).
"""

from voxfleet_gateway.decisions.pods import balancing
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.telemetry import EJECTED_PODS, OPEN_CIRCUITS, SERVABLE_PODS


def refresh_gauges(fleet: Fleet) -> None:
    """Set the gauges of all regions, and drop those of regions that are gone."""
    now_seconds = fleet.clock()
    for gauge in (SERVABLE_PODS, EJECTED_PODS, OPEN_CIRCUITS):
        gauge.clear()
    for key, region in fleet.regions.items():
        pods = region.pods.values()
        SERVABLE_PODS.labels(*key.labels).set(len(balancing.servable(pods, now_seconds)))
        EJECTED_PODS.labels(*key.labels).set(sum(pod.ejection.is_active(now_seconds) for pod in pods))
        OPEN_CIRCUITS.labels(*key.labels).set(region.circuit.left_seconds(now_seconds) > 0)
