"""The gateway's metrics, in one table of definitions, and its logs: JSON lines on standard output.

Knows: names, units, labels (docs/gateway-metrics.md lists the same, and a test compares them).
Does not know: where the numbers come from. Never in a log or label: texts, client addresses, keys.
"""

import json
import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram

PREFIX = "voxfleet_gateway_"
# 5 ms is what the gateway itself may take; beyond 1 s the request was held.
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
# From a CPU pod of a tiny model (half a second) to a node that is created and pulls its image (minutes).
WAKE_BUCKETS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 300, 600)
# A decision takes 10 us for one region and 50 us for 32; beyond 1 ms it blocks the other requests.
DECISION_BUCKETS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2)
OVERHEAD_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

REGION_LABELS = ("namespace", "name", "region")

REQUESTS = Counter(f"{PREFIX}requests", "Speech requests, by status code and route.", (*REGION_LABELS, "code", "route"))
FIRST_BYTE = Histogram(
    f"{PREFIX}first_byte_seconds",
    "From the request's head to the first byte of audio sent.",
    REGION_LABELS,
    buckets=FIRST_BYTE_BUCKETS,
)
REFUSALS = Counter(
    f"{PREFIX}refusals", "What the gateway refused of speech requests, by the error's code.", (*REGION_LABELS, "reason")
)
DECISION = Histogram(
    f"{PREFIX}decision_seconds", "Time of one routing decision, its inputs included.", buckets=DECISION_BUCKETS
)
OVERHEAD = Histogram(
    f"{PREFIX}overhead_seconds",
    "Time to the first byte of audio less the waits for the client's body, a hold, and pods.",
    buckets=OVERHEAD_BUCKETS,
)
OPEN_REQUESTS = Gauge(f"{PREFIX}open_requests", "Requests that a pod is serving.", REGION_LABELS)
HELD_REQUESTS = Gauge(f"{PREFIX}held_requests", "Requests that are held for a region.", REGION_LABELS)
FREE_HOLD_PLACES = Gauge(
    f"{PREFIX}free_hold_places", "Further requests of a model that this gateway may hold.", ("namespace", "name")
)
HELD = Histogram(f"{PREFIX}held_seconds", "Time a request was held.", REGION_LABELS, buckets=WAKE_BUCKETS)
WAKES = Counter(f"{PREFIX}wakes", "Wakes started, by a request or by POST /v1/models/{model}/wake.", REGION_LABELS)
WAKE = Histogram(
    f"{PREFIX}wake_seconds", "From the start of a wake to the first servable pod.", REGION_LABELS, buckets=WAKE_BUCKETS
)
UPSTREAM_FAILURES = Counter(f"{PREFIX}upstream_failures", "Attempts that failed before any audio.", ("failure",))
RETRIES = Counter(f"{PREFIX}retries", "Attempts after the first.", ("failure",))
BROKEN_STREAMS = Counter(
    f"{PREFIX}broken_streams", "Responses whose connection was closed after their first byte.", REGION_LABELS
)
SERVABLE_PODS = Gauge(f"{PREFIX}servable_pods", "Pods that may be sent requests.", REGION_LABELS)
EJECTED_PODS = Gauge(f"{PREFIX}ejected_pods", "Pods that are left alone for their failures.", REGION_LABELS)
EJECTIONS = Counter(f"{PREFIX}ejections", "Times that a pod was left alone for a failure.", REGION_LABELS)
OPEN_CIRCUITS = Gauge(
    f"{PREFIX}open_circuits", "1 while a region is left alone, all of its pods failing.", REGION_LABELS
)
CIRCUITS_OPENED = Counter(
    f"{PREFIX}circuits_opened", "Times that every pod of a region failed, and it was left alone.", REGION_LABELS
)
HANDOVERS = Counter(
    f"{PREFIX}handovers", "Held requests passed between gateways of a region while one shuts down.", ("result",)
)
SPILLS = Counter(f"{PREFIX}spills", "Attempts sent to gateways of other regions.", ("peer", "reason"))
SPILLS_RECEIVED = Counter(
    f"{PREFIX}spills_received", "Speech requests that gateways of other regions have sent.", ("peer", "code")
)
PEER_FAILURES = Counter(f"{PREFIX}peer_failures", "What went wrong with a peer.", ("peer", "reason"))
PEER_REPORT_AGE = Gauge(f"{PREFIX}peer_report_age_seconds", "Age of a peer's newest report.", ("peer",))
LEASE_RENEWALS = Counter(f"{PREFIX}lease_renewals", "Renewals of demand Leases.", ("reason", "result"))
WATCH_RESTARTS = Counter(f"{PREFIX}watch_restarts", "Watches that broke and were restarted.", ("watch",))
API_KEYS = Gauge(f"{PREFIX}api_keys", "Valid entries of API keys, expired ones included.")
API_KEYS_INVALID = Gauge(f"{PREFIX}api_keys_invalid", "Entries of API keys that are ignored.")
RELOAD_FAILURES = Counter(
    f"{PREFIX}reload_failures", "Looks at changed keys, limits or location databases that failed.", ("what",)
)
for _what in ("keys", "tenants", "location"):
    RELOAD_FAILURES.labels(_what)  # a series whose first value is 1 has not risen, for Prometheus
TENANT_REQUESTS = Counter(f"{PREFIX}tenant_requests", "Speech requests in the usage log.", ("tenant", "code"))
TENANT_CHARACTERS = Counter(f"{PREFIX}tenant_characters", "Characters of texts that were answered.", ("tenant",))
TENANT_AUDIO_SECONDS = Counter(f"{PREFIX}tenant_audio_seconds", "Seconds of audio sent.", ("tenant",))
TENANT_REJECTIONS = Counter(f"{PREFIX}tenant_rejections", "Requests beyond a tenant's limit.", ("tenant", "limit"))
VOICE_CHECKS = Counter(f"{PREFIX}voice_checks", "Recordings that a pod was to check, by result.", ("result",))
PROXY_HEADER_FAILURES = Counter(
    f"{PREFIX}proxy_header_failures", "Connections of load balancers that were closed for their PROXY header."
)
RTT_SAMPLES = Counter(
    f"{PREFIX}rtt_samples", "Round trips measured, by where from and whether used.", ("source", "used")
)
RTT_GROUPS = Gauge(f"{PREFIX}rtt_groups", "Client groups with learned round trips.", ("level",))
BODIES = Gauge(f"{PREFIX}bodies_bytes", "Bytes of request bodies held.")
BODIES_LIMIT = Gauge(f"{PREFIX}bodies_limit_bytes", "Bytes of request bodies that may be held.")
REGISTRY_INVALID = Gauge(f"{PREFIX}registry_invalid", "Model ConfigMaps that could not be read.")
POD_POLL_FAILURES = Counter(f"{PREFIX}pod_poll_failures", "Polls of /internal/load without a usable response.")


def configure_logs(level: str) -> None:
    """Write JSON lines, one per event, to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(separators=(",", ":")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # its errors quote clients' addresses


class _JsonLines(logging.Formatter):
    """Formats the warnings of libraries like the other lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
