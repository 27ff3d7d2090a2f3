"""Every exception the gateway raises on purpose.

GatewayError
├── SettingsError               a setting is missing or wrong
├── RegistryEntryError          a model ConfigMap that cannot be read
├── ClusterError                the Kubernetes API did not do what was asked
│   ├── ClusterUnavailableError no answer, or 429/5xx: try again later
│   ├── ClusterConflictError    the object changed since it was read (409)
│   ├── ClusterGoneError        a watch is too old to be continued (410)
│   └── ClusterRefusedError     any other 4xx: asking again will not help
├── RequestRefusedError         a client's request that gets an error answer
└── UpstreamFailedError         a pod did not answer, or broke off
    └── UpstreamAnsweredError   it answered 500 or more (server/proxy.py)
"""

from dataclasses import dataclass
from enum import StrEnum


class GatewayError(Exception):
    """The root of the tree."""


class SettingsError(GatewayError):
    """A setting is missing or wrong."""


class RegistryEntryError(GatewayError):
    """A ConfigMap labelled as model registry whose content is not one."""


class ClusterError(GatewayError):
    """The Kubernetes API did not do what was asked."""


class ClusterUnavailableError(ClusterError):
    """No answer, or one that says: later."""


class ClusterConflictError(ClusterError):
    """The object changed since it was read."""


class ClusterGoneError(ClusterError):
    """The resourceVersion is too old; list again."""


class ClusterRefusedError(ClusterError):
    """Asking again in the same way will not help."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer in OpenAI's form, before it is written."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_seconds: int | None = None
    wake_estimate_seconds: float | None = None


class RequestRefusedError(GatewayError):
    """Carries the answer that the client gets."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class UpstreamFailure(StrEnum):
    """How an attempt at a pod failed before its first byte of audio."""

    CONNECT = "connect"  # no connection: the pod has seen nothing
    RESET = "reset"  # connected, then closed without a response
    TIMEOUT = "timeout"  # connected, silent
    ERROR_5XX = "error_5xx"  # an answer of 500 or more


class UpstreamFailedError(GatewayError):
    """A pod did not answer, or broke off."""

    def __init__(self, failure: UpstreamFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
