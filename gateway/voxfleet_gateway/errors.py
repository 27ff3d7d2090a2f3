"""Every exception the gateway raises on purpose.

GatewayError
├── SettingsError               a setting is missing or wrong
├── RegistryEntryError          a model ConfigMap that cannot be read
├── ApiKeyEntryError            an entry of an API key that cannot be used
├── TenantEntryError            limits of tenants that cannot be read
├── RecordError                 a line of a log that holds a decision which cannot be read
├── LocationDatabaseError       a location database that cannot be read
├── ProxyHeaderError            a connection that begins with no valid PROXY header
├── ZoneFileError               the DNS engine's zone file cannot be read
├── ClusterError                a call to the Kubernetes API failed
│   ├── ClusterUnavailableError no response, or 401/429/5xx: try again later
│   ├── ClusterConflictError    the object changed since it was read (409)
│   ├── ClusterGoneError        a watch is too old to be continued (410)
│   └── ClusterRefusedError     any other 4xx: the same call will fail again
├── RequestRefusedError         a client's request that gets an error response
├── PeerError                   a gateway of another region
│   ├── PeerCertificateError    its certificate is not of one known region
│   ├── PeerHeaderError         what it says about a request cannot be used
│   ├── PeerUrlError            its gatewayURL is not allowed
│   └── PeerReportError         its report cannot be used
├── VoicesNotServedError       a pod of an earlier version, which neither checks nor draws voices for gateways
├── VoiceFileError              the bytes are no stored voice, or not the expected one
├── VoicesUnavailableError      the folder of voices cannot be used now
│   └── VoicesFullError         a limit is reached, or the disk is full
└── UpstreamFailedError         a pod did not respond, or broke the connection
    └── UpstreamStatusError     it responded with 500 or more (server/upstream/attempt.py)
"""

from dataclasses import dataclass
from enum import StrEnum


class GatewayError(Exception):
    """The root of the tree."""


class SettingsError(GatewayError):
    """A setting is missing or wrong."""


class RegistryEntryError(GatewayError):
    """A ConfigMap labelled as model registry whose content is not one."""


class ApiKeyEntryError(GatewayError):
    """An entry of an API key that cannot be used; the message never quotes a value, which may be the key itself."""


class TenantEntryError(GatewayError):
    """Limits of tenants that cannot be read."""


class RecordError(GatewayError):
    """A line of a log that holds a decision which cannot be read; the message names the line and the field."""


class LocationDatabaseError(GatewayError):
    """A location database that cannot be read; the message names its file."""


class ProxyHeaderError(GatewayError):
    """A connection that begins with no valid PROXY header; the message quotes none of its bytes."""


class ZoneFileError(GatewayError):
    """The DNS engine's zone file cannot be read; the message names the file, the field and its value."""


class ClusterError(GatewayError):
    """A call to the Kubernetes API failed."""


class ClusterUnavailableError(ClusterError):
    """No response, or one that a later call may not get."""


class ClusterConflictError(ClusterError):
    """The object changed since it was read."""


class ClusterGoneError(ClusterError):
    """The resourceVersion is too old; list again."""


class ClusterRefusedError(ClusterError):
    """The same call will fail again."""


class PeerError(GatewayError):
    """A gateway of another region that is not one, cannot be reached, or reports what cannot be."""


class PeerCertificateError(PeerError):
    """A peer's certificate is verified, and not of one known region now."""


class PeerHeaderError(PeerError):
    """A peer's headers of a request that cannot be used."""


class PeerUrlError(PeerError):
    """A gatewayURL that is not connected to."""


class PeerReportError(PeerError):
    """A peer's report cannot be used; `reason` is one of few words, for a metric."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class VoiceFileError(GatewayError):
    """The bytes are no stored voice, or not the expected one."""


class VoicesNotServedError(GatewayError):
    """A pod of an earlier version, which neither checks nor draws voices for gateways."""


class VoicesUnavailableError(GatewayError):
    """The folder of voices cannot be used now; the message names no path, since clients see it."""


class VoicesFullError(VoicesUnavailableError):
    """A limit is reached, or the disk is full."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response in OpenAI's form, before it is written."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_seconds: int | None = None
    wake_estimate_seconds: float | None = None
    is_final: bool = False  # OpenAI's clients would retry soon, and the same request would be refused again
    headers: tuple[tuple[str, str], ...] = ()  # what its status requires beside these


class RequestRefusedError(GatewayError):
    """Carries the error response that the client gets."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class UpstreamFailure(StrEnum):
    """How an attempt at a pod failed before its first byte of audio."""

    CONNECT = "connect"  # no connection: the pod has received nothing
    RESET = "reset"  # connected, then closed without a response
    TIMEOUT = "timeout"  # connected, no first byte in time
    LOST = "lost"  # connected, no first byte, and the pod has stopped reporting or is gone
    FULL = "full"  # 503 with Retry-After: the pod takes no further request at the moment
    ERROR_5XX = "error_5xx"  # a response of 500 or more
    REFUSED = "refused"  # a peer's gateway does not serve the request; the client's own mistakes are found here
    INVALID = "invalid"  # a response whose status no speech server has, as a redirect


class UpstreamFailedError(GatewayError):
    """A pod did not respond, or broke the connection."""

    has_words = False  # the pod's own, which the client gets when the attempt is not repeated

    def __init__(self, failure: UpstreamFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
