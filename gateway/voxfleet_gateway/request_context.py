"""One request as the gateway accounts for it: route, times, bytes, decision record.

Knows: what stands in the request's log line and in the headers of its response. Never keeps: texts, audio, client
addresses, keys. Does not know: HTTP libraries; when a field is set.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from voxfleet_gateway.decisions import record
from voxfleet_gateway.decisions.accounts.audio_meter import AudioMeter
from voxfleet_gateway.decisions.caller import ANONYMOUS, Caller
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.regions import RegionKey

REQUEST_ID_HEADER = "X-Request-Id"
REGION_HEADER = "Voxfleet-Region"
ROUTE_HEADER = "Voxfleet-Route"
SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff"}  # no browser takes audio or JSON for a page
MAX_REQUEST_ID_CHARACTERS = 128  # ids go into headers and log lines; a UUID has 36


@dataclass(slots=True)
class RequestContext:
    """Filled in while the request is served; written as one log line at its end."""

    request_id: str
    method: str
    path: str
    region: str  # the region that serves: this gateway's own until a decision names another
    route: str = "gateway"  # the reason, sent as Voxfleet-Route
    started_seconds: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)  # of the wall clock, for the usage log
    caller: Caller = ANONYMOUS
    client: ClientPlace = UNKNOWN  # decided once; routing, allowed clients and learned round trips use it
    limit_headers: dict[str, str] = field(default_factory=dict)
    audio_charges: dict[int, float] = field(default_factory=dict)  # seconds by slot, to be settled at the end
    estimated_audio_seconds: float = 0.0  # of the text so far: a session's grows
    response_format: str = "mp3"  # as OpenAI's default
    meter: AudioMeter | None = None  # of a response with audio, from its first byte on
    model: str = ""
    model_ref: tuple[str, str] | None = None  # namespace and name of the resource, once it is known
    is_speech: bool = False  # counted as a speech request
    key: RegionKey | None = None
    input_characters: int = 0
    refusals: Counter[str] = field(default_factory=Counter)  # codes of errors that the gateway itself has made
    waited_seconds: float = 0.0  # for the client's body, a hold, a pod's first byte: not the gateway's own time
    held_seconds: float = 0.0
    held_route: str | None = None  # the route when it was last held
    attempts: int = 0
    first_byte_seconds: float | None = None
    bytes_sent: int = 0
    page_headers: dict[str, str] = field(default_factory=dict)  # by which a page of another origin reads the response
    pod_headers: dict[str, str] = field(default_factory=dict)  # sent to pods beside the caller's identity
    has_direct_audio: bool = False  # between client and pod, past this gateway
    direct_audio_seconds: float | None = None  # as the pod reported at the end; None: estimated by the text
    outlives_response: bool = False  # a session that goes on past this gateway: counted and logged when it ends
    status: int = 0
    is_truncated: bool = False
    may_be_handed_over: bool = False  # to another gateway of the region; once, and no session that goes both ways
    is_handed_over: bool = False  # by another gateway, which has admitted it
    is_spilled: bool = False  # by a gateway of another region, which counts it and bills it
    may_hold: bool = True  # False: refused where it cannot be served at once; the gateway that sent it holds it
    asked_model: str = ""  # the full name by which that gateway knows the model
    decided: DecisionRecord | None = None

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the request's head was read."""
        return time.monotonic() - self.started_seconds

    @property
    def is_relayed(self) -> bool:
        """Whether another gateway has the client's connection, and measures and bills the request."""
        return self.is_handed_over or self.is_spilled

    @property
    def labels(self) -> tuple[str, str, str]:
        """Values of the metric labels namespace, name, region: of the registry or empty, so that they are few."""
        if self.key is not None:
            return self.key.labels
        if self.model_ref is None:
            return ("", "", "")
        return (*self.model_ref, self.decided.decision.region or "" if self.decided else "")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the context as waited for others, also when it ends early."""
        began_seconds = time.monotonic()
        try:
            yield
        finally:
            self.waited_seconds += time.monotonic() - began_seconds

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Count the time of the context as held, also when the client leaves meanwhile."""
        before_seconds = self.waited_seconds
        try:
            with self.waiting():
                yield
        finally:
            self.held_seconds += self.waited_seconds - before_seconds

    def record_decision(self, decided: DecisionRecord) -> None:
        """Keep the newest decision; it replaces the earlier one of a request that was held."""
        self.decided = decided
        self.region, self.route = decided.decision.region or self.region, decided.decision.route

    def record_sent(self, chunk: bytes) -> None:
        """Count bytes of the response that the client has taken."""
        self.bytes_sent += len(chunk)
        if self.meter is not None:
            self.meter.feed(chunk)

    def record_refusal(self, code: str) -> None:
        """Count an error that the gateway itself has made: a response, or one of a session's `error` events."""
        self.refusals[code] += 1

    def restore_held_route(self) -> None:
        """Report why the request was held rather than `nearest`, when it was held and then served there."""
        if self.held_route is not None and self.route == "nearest":
            self.route = self.held_route

    def headers(self) -> dict[str, str]:
        """Return the headers that every response carries."""
        own = {REGION_HEADER: self.region, ROUTE_HEADER: self.route, REQUEST_ID_HEADER: self.request_id}
        return own | SECURITY_HEADERS | self.limit_headers | self.page_headers

    def log_fields(self) -> dict[str, Any]:
        """Return the log line's fields; with a decision, `voxfleet-gateway replay` can decide it again."""
        fields: dict[str, Any] = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "region": self.region,
            "route": self.route,
            "total_seconds": round(self.elapsed_seconds, 4),
        }
        if self.decided is None:
            return fields
        fields |= {
            "model": self.model,
            "input_characters": self.input_characters,
            "held_seconds": round(self.held_seconds, 4),
            "attempts": self.attempts,
            "first_byte_seconds": round(self.first_byte_seconds, 4) if self.first_byte_seconds else None,
            "bytes_sent": self.bytes_sent,
            "truncated": self.is_truncated,
        }
        return fields | record.to_json(self.decided)


def new_context(given_id: str, method: str, path: str, region: str) -> RequestContext:
    """Return the context of a request, with the client's X-Request-Id if it is usable, else with a new one."""
    # A printable ASCII id cannot end a header or a log line early.
    is_usable = given_id.isascii() and given_id.isprintable() and 0 < len(given_id) <= MAX_REQUEST_ID_CHARACTERS
    return RequestContext(given_id if is_usable else uuid.uuid4().hex, method, path, region)
