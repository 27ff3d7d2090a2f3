"""The DNS engine's metrics, in one table of definitions.

Knows: names, units, labels, meanings (the table in docs/dns.md is made from them); regions are at most MAX_REGIONS.
Does not know: where the numbers come from. Never in a label: clients, names that were asked for.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

PREFIX = "voxfleet_dns_"
REGISTRY = CollectorRegistry()  # the gateway's own metrics are of no use here
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)
SOLVE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

ANSWERS = Counter(
    f"{PREFIX}answers",
    "Lookups that named a region, by what decided: solved, geography, default, explored, untailored.",
    ("region", "basis"),
    registry=REGISTRY,
)
FAILED_REQUESTS = Counter(
    f"{PREFIX}failed_requests",
    "Requests of PowerDNS that were answered with `result: false`.",
    registry=REGISTRY,
)
INTERNAL_ERRORS = Counter(
    f"{PREFIX}internal_errors", "Requests of PowerDNS that met a mistake of this program.", registry=REGISTRY
)
CONNECTIONS = Gauge(f"{PREFIX}connections", "Connections of PowerDNS's threads.", registry=REGISTRY)
FALLBACK = Gauge(
    f"{PREFIX}fallback_models",
    "Models by the step that answers stand on: none, last-good, geography, static.",
    ("fallback",),
    registry=REGISTRY,
)
OVERLOAD = Gauge(
    f"{PREFIX}overload_ratio", "Load of the fullest region over its limit, of the fullest model.", registry=REGISTRY
)
SOLVE = Histogram(f"{PREFIX}solve_seconds", "Time of one linear program.", buckets=SOLVE_BUCKETS, registry=REGISTRY)
SOLVE_FAILURES = Counter(
    f"{PREFIX}solve_failures", "Linear programs without a solution, by reason.", ("reason",), registry=REGISTRY
)
REPORT_AGE = Gauge(f"{PREFIX}report_age_seconds", "Age of a region's newest report.", ("region",), registry=REGISTRY)
REPORT_FAILURES = Counter(
    f"{PREFIX}report_failures",
    "Reports that could not be used; reasons as in regions and peers (docs/regions-and-peers.md).",
    ("region", "reason"),
    registry=REGISTRY,
)
ADMISSION = Gauge(
    f"{PREFIX}region_admission_ratio",
    "Part of its clients that a region gets: 0 while it is out, 1 after its return.",
    ("region",),
    registry=REGISTRY,
)
RELOAD_FAILURES = Counter(
    f"{PREFIX}reload_failures", "Changes of the zone file that could not be read.", registry=REGISTRY
)
