"""The gateway's metrics, in one table of definitions.

Knows: names, units, labels, meanings, which docs/gateway-metrics.md is made from.
Does not know: where the numbers come from. Never in a label: texts, client addresses, keys.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from types import MappingProxyType

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from voxfleet_gateway.errors import UpstreamFailure

PREFIX = "voxfleet_gateway_"
# 5 ms is what the gateway itself may take; beyond 1 s the request was held.
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
# From a CPU pod of a tiny model (half a second) to a node that is created and pulls its image (minutes).
WAKE_BUCKETS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 300, 600)
# A decision takes 10 us for one region and 50 us for 32; beyond 1 ms it blocks the other requests.
DECISION_BUCKETS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2)
OVERHEAD_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

REGION_LABELS = ("namespace", "name", "region")

REQUESTS = Counter(
    f"{PREFIX}requests",
    "Speech requests, each once, by status code and route (`spill-load`, `spill-wake` and `failover` are "
    "the spilled ones, counted in the region that served); refused ones too, with empty labels where no "
    "model or region is known; code 499: the client closed the connection.",
    (*REGION_LABELS, "code", "route"),
)
FIRST_BYTE = Histogram(
    f"{PREFIX}first_byte_seconds",
    "From the request's head to the first byte of audio sent, the time held included; of one that was "
    "handed over, by the client's gateway only.",
    REGION_LABELS,
    buckets=FIRST_BYTE_BUCKETS,
)
REFUSALS = Counter(
    f"{PREFIX}refusals",
    "What the gateway itself refused of speech requests, each once, by the `code` of its error "
    "(docs/gateway-responses.md): responses, handshakes, `error` events of begun streams and of sessions "
    "(a session can have several, and goes on after a refused message); what a pod answered does not "
    "count, and one that was handed over counts at the gateway that refused it.",
    (*REGION_LABELS, "reason"),
)
DECISION = Histogram(
    f"{PREFIX}decision_seconds",
    "Time of one routing decision with its inputs; a held request decides more than once.",
    buckets=DECISION_BUCKETS,
)
OVERHEAD = Histogram(
    f"{PREFIX}overhead_seconds",
    "Of responses with audio: from the request's head to the first byte of audio, less what was waited "
    "for: the client's body, a hold, pods (sending to them included).",
    buckets=OVERHEAD_BUCKETS,
)
OPEN_REQUESTS = Gauge(f"{PREFIX}open_requests", "Requests that a pod is serving, open streams included.", REGION_LABELS)
HELD_REQUESTS = Gauge(f"{PREFIX}held_requests", "Requests that are held for a region.", REGION_LABELS)
FREE_HOLD_PLACES = Gauge(
    f"{PREFIX}free_hold_places", "Further requests of the model that this gateway may hold.", ("namespace", "name")
)
HELD = Histogram(
    f"{PREFIX}held_seconds",
    "Time a request was held, once per request that was, also when its client left meanwhile, and by each "
    "gateway of one that was handed over.",
    REGION_LABELS,
    buckets=WAKE_BUCKETS,
)
WAKES = Counter(f"{PREFIX}wakes", "Wakes started, by a request or by `POST /v1/models/{model}/wake`.", REGION_LABELS)
WAKE = Histogram(
    f"{PREFIX}wake_seconds", "From the start of a wake to the first servable pod.", REGION_LABELS, buckets=WAKE_BUCKETS
)
UPSTREAM_FAILURES = Counter(
    f"{PREFIX}upstream_failures",
    "Attempts that failed before any audio, by failure: connect, reset, timeout (no first byte in time), lost (no "
    "first byte, and the pod stopped reporting or is gone), full (503 with `Retry-After`), error_5xx, "
    "invalid (a status that no speech server has, as a redirect), refused (a 4xx of a peer, which is no "
    "mistake of the client).",
    ("failure",),
)
RETRIES = Counter(f"{PREFIX}retries", "Attempts after the first, by the failure before them.", ("failure",))
BROKEN_STREAMS = Counter(
    f"{PREFIX}broken_streams", "Responses whose connection was closed after their first byte.", REGION_LABELS
)
SERVABLE_PODS = Gauge(f"{PREFIX}servable_pods", "Pods that may be sent requests.", REGION_LABELS)
EJECTED_PODS = Gauge(
    f"{PREFIX}ejected_pods",
    "Pods that are left alone for their failures, unless every other one is too.",
    REGION_LABELS,
)
EJECTIONS = Counter(f"{PREFIX}ejections", "Times that a pod was left alone for a failure.", REGION_LABELS)
OPEN_CIRCUITS = Gauge(
    f"{PREFIX}open_circuits", "1 while no request is sent to a region, all of its pods failing.", REGION_LABELS
)
CIRCUITS_OPENED = Counter(
    f"{PREFIX}circuits_opened",
    "Times that every pod of a region failed and no request was sent there for a time.",
    REGION_LABELS,
)
HANDOVERS = Counter(
    f"{PREFIX}handovers",
    "Held requests passed to another gateway of the region while this one shuts down: sent, received, "
    "failed_ and the failure (held here again).",
    ("result",),
)
SPILLS = Counter(
    f"{PREFIX}spills",
    "Attempts sent to the gateway of another region, by the route that led there: `spill-load`, "
    "`spill-wake`, `failover`, `nearest`, `hold-wake`, `hold-load`, `hold-circuit`.",
    ("peer", "reason"),
)
SPILLS_RECEIVED = Counter(
    f"{PREFIX}spills_received",
    "Speech requests that a gateway of another region has sent, by status code; they are in no other "
    "counter of requests here.",
    ("peer", "code"),
)
PEER_FAILURES = Counter(
    f"{PREFIX}peer_failures",
    "What went wrong with a peer. Polls without a usable report: connect, address (none of its addresses may be "
    "a peer's), certificate, timeout, reset, status, size, form, region, clock, internal; attempts there: request_ "
    "and the failure; wake; refused on the port for peers: unknown_peer (peer `unknown`), invalid_spill, "
    "handshakes (peer `unknown`: more than 256 were unfinished).",
    ("peer", "reason"),
)
PEER_REPORT_AGE = Gauge(
    f"{PREFIX}peer_report_age_seconds", "Age of the region's newest report; infinite before the first.", ("peer",)
)
LEASE_RENEWALS = Counter(
    f"{PREFIX}lease_renewals",
    "Renewals of demand Leases, by reason (wake, active, finished, stopping) and result (renewed, conflict, failed).",
    ("reason", "result"),
)
WATCH_RESTARTS = Counter(f"{PREFIX}watch_restarts", "Watches that broke and were restarted.", ("watch",))
API_KEYS = Gauge(f"{PREFIX}api_keys", "Valid entries of API keys, expired ones included.")
API_KEYS_INVALID = Gauge(
    f"{PREFIX}api_keys_invalid", "Entries of API keys that are ignored; the log has each one's id and reason."
)
RELOAD_FAILURES = Counter(
    f"{PREFIX}reload_failures",
    "Looks, one a second, at changed `keys`, `tenants` or `location` databases that could not be read; "
    "what was read before is used on.",
    ("what",),
)
TENANT_REQUESTS = Counter(
    f"{PREFIX}tenant_requests",
    "Speech requests with a valid key, as in the usage log; the first 50 tenants by name, all others as "
    "`other`, as in each metric of tenants.",
    ("tenant", "code"),
)
TENANT_CHARACTERS = Counter(
    f"{PREFIX}tenant_characters", "Characters of texts that were answered with audio.", ("tenant",)
)
TENANT_AUDIO_SECONDS = Counter(
    f"{PREFIX}tenant_audio_seconds", "Seconds of audio sent, settled as in the usage log.", ("tenant",)
)
TENANT_REJECTIONS = Counter(
    f"{PREFIX}tenant_rejections",
    "Requests refused with 429: requests, concurrent_requests, audio_seconds, wakes.",
    ("tenant", "limit"),
)
VOICE_CHECKS = Counter(
    f"{PREFIX}voice_checks",
    "Recordings that a pod was to check (docs/voices.md#what-a-pod-does-for-the-gateway): `usable`, "
    "`unusable`, or `none` when no pod was awake or able to.",
    ("result",),
)
PROXY_HEADER_FAILURES = Counter(
    f"{PREFIX}proxy_header_failures",
    "Connections of load balancers that were closed for a PROXY header that is malformed or did not come within 5 s.",
)
RTT_SAMPLES = Counter(
    f"{PREFIX}rtt_samples",
    "Round trips measured on connections or reported by clients; `used`: no for what is no round trip, or "
    "the second within a second of a prefix.",
    ("source", "used"),
)
RTT_GROUPS = Gauge(
    f"{PREFIX}rtt_groups", "Groups of clients with learned round trips: prefix, asn, area, country.", ("level",)
)
BODIES = Gauge(f"{PREFIX}bodies_bytes", "Bytes of request bodies held.")
BODIES_LIMIT = Gauge(
    f"{PREFIX}bodies_limit_bytes",
    "Bytes of request bodies that may be held; three quarters of it by bodies above 64 KiB.",
)
UNREADABLE_DECISIONS = Counter(
    f"{PREFIX}unreadable_decisions",
    "Decisions of the region's other gateways that the fleet page leaves out, their form being unknown here.",
)
REGISTRY_INVALID = Gauge(f"{PREFIX}registry_invalid", "Model ConfigMaps that could not be read.")
POD_POLL_FAILURES = Counter(
    f"{PREFIX}pod_poll_failures", "Polls of a pod's `/internal/load` without a usable response."
)

SERVED_ROUTES = ("nearest", "spill-load", "spill-wake", "failover", "hold-wake", "hold-load", "hold-circuit")
FAILURES = tuple(each.value for each in UpstreamFailure)
# Label values that are known beforehand. For Prometheus a series whose first value is 1 has not risen: without a zero
# before it, the first failure has no rate. Series of regions: pods/region_series.py, of peers: peers/peering.py.
KNOWN_LABELS: dict[Counter, tuple[tuple[str, ...], ...]] = {
    UPSTREAM_FAILURES: tuple(product(FAILURES)),
    RETRIES: tuple(product(FAILURES)),
    HANDOVERS: tuple(product(("sent", "received", *(f"failed_{failure}" for failure in FAILURES)))),
    LEASE_RENEWALS: tuple(product(("wake", "active", "finished", "stopping"), ("renewed", "conflict", "failed"))),
    WATCH_RESTARTS: tuple(product(("models", "endpoints", "leases", "gateways", "peers"))),
    RELOAD_FAILURES: tuple(product(("keys", "tenants", "location"))),
    VOICE_CHECKS: tuple(product(("usable", "unusable", "none"))),
    RTT_SAMPLES: tuple(product(("connection", "report"), ("yes", "no"))),
}


def begin_series(known: Mapping[Counter, Iterable[tuple[str, ...]]] = MappingProxyType(KNOWN_LABELS)) -> None:
    """Begin the series of these label values with 0."""
    for counter, label_sets in known.items():
        for labels in label_sets:
            counter.labels(*labels)


begin_series()
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nothing reads
