"""One request and its answer, as the gateway accounts for it: the decision record.

Knows: what is remembered of a request. Never keeps: texts, audio, raw addresses, keys.
"""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from voxfleet_gateway.decisions.routing import Decision, RegionView, RouteRequest
from voxfleet_gateway.regions import RegionKey

REQUEST_ID_HEADER = "X-Request-Id"
REGION_HEADER = "Voxfleet-Region"
ROUTE_HEADER = "Voxfleet-Route"
MAX_REQUEST_ID_CHARACTERS = 128

# How a decision and what it was made from are written to the log and read back; ten times as fast as asdict.
REQUEST_FORM = TypeAdapter(RouteRequest)
VIEWS_FORM = TypeAdapter(tuple[RegionView, ...])
DECISION_FORM = TypeAdapter(Decision)


@dataclass(slots=True)
class RequestContext:
    """Filled in as the request moves on; written as one log line at the end."""

    request_id: str
    method: str
    path: str
    region: str  # who answers: this gateway's region until a decision says otherwise
    route: str = "gateway"  # why
    started_seconds: float = field(default_factory=time.monotonic)
    model: str = ""
    key: RegionKey | None = None
    input_characters: int = 0
    held_seconds: float = 0.0
    held_route: str | None = None  # the route under which it was held last
    attempts: int = 0
    first_byte_seconds: float | None = None
    bytes_sent: int = 0
    status: int = 0
    truncated: bool = False
    route_request: RouteRequest | None = None
    region_views: tuple[RegionView, ...] = ()
    decision: Decision | None = None

    @property
    def elapsed_seconds(self) -> float:
        """Since the request's head was read."""
        return time.monotonic() - self.started_seconds

    def decided(self, route_request: RouteRequest, region_views: tuple[RegionView, ...], decision: Decision) -> None:
        """Keep the newest decision with all it was made from."""
        self.route_request, self.region_views, self.decision = route_request, region_views, decision
        self.region, self.route = decision.region or self.region, decision.route

    def keep_held_route(self) -> None:
        """A request that was held and is then served by the nearest region says what it waited for."""
        if self.held_route is not None and self.route == "nearest":
            self.route = self.held_route

    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {REGION_HEADER: self.region, ROUTE_HEADER: self.route, REQUEST_ID_HEADER: self.request_id}

    def record(self) -> dict[str, Any]:
        """The log line; `voxfleet-gateway replay` decides it again."""
        line: dict[str, Any] = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "region": self.region,
            "route": self.route,
            "total_seconds": round(self.elapsed_seconds, 4),
        }
        if self.decision is None or self.route_request is None:
            return line
        line |= {
            "model": self.model,
            "input_characters": self.input_characters,
            "held_seconds": round(self.held_seconds, 4),
            "attempts": self.attempts,
            "first_byte_seconds": round(self.first_byte_seconds, 4) if self.first_byte_seconds else None,
            "bytes_sent": self.bytes_sent,
            "truncated": self.truncated,
            "route_request": REQUEST_FORM.dump_python(self.route_request, mode="json"),
            "region_views": VIEWS_FORM.dump_python(self.region_views, mode="json"),
            "decision": DECISION_FORM.dump_python(self.decision, mode="json"),
        }
        return line


CONTEXT = web.RequestKey("context", RequestContext)


def begin_context(request: web.Request, region: str) -> RequestContext:
    """Start the account of a request, with the client's id if it is a usable one."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    usable = given.isascii() and given.isprintable() and 0 < len(given) <= MAX_REQUEST_ID_CHARACTERS
    return RequestContext(given if usable else uuid.uuid4().hex, request.method, request.path, region)
