"""GET and POST /v1/rtt: which regions a page may measure, and what it has measured. GET /internal/rtt for gateways.

Knows: the forms, and why a report needs no trust: it changes the estimates of its own client's prefix alone.
Does not know: what is learned from it (location/rtt_store.py).
"""

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.rtt_sync import RTT_PATH
from voxfleet_gateway.refusals import bad_request, report_too_large, too_many_reports
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.tokens import bearer_matches, gateway_token

REPORT_PATH = "/v1/rtt"
MAX_REPORT_BYTES = 4096
MAX_REGIONS = 32
MAX_ROUND_TRIP_SECONDS = 60.0

Seconds = Annotated[float, Field(gt=0, le=MAX_ROUND_TRIP_SECONDS, allow_inf_nan=False)]


class Report(BaseModel):
    """What a client has measured: seconds by region."""

    model_config = ConfigDict(extra="forbid")

    rtt_seconds: dict[str, Seconds] = Field(max_length=MAX_REGIONS)


@dataclass(slots=True)
class Rtt:
    """The handlers."""

    store: RttStore
    dispatcher: Dispatcher
    internal_key: str

    async def regions(self, request: web.Request) -> web.Response:
        """Respond with the URLs at which the caller may measure its regions."""
        return web.json_response({"regions": self.gateway_urls(request[CONTEXT].caller)})

    async def report(self, request: web.Request) -> web.Response:
        """Learn from a report; respond with 204."""
        if (request.content_length or MAX_REPORT_BYTES + 1) > MAX_REPORT_BYTES:
            raise RequestRefusedError(report_too_large(MAX_REPORT_BYTES))
        try:
            report = Report.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "rtt_seconds"
            raise RequestRefusedError(bad_request(f"'{where:.80}': {first['msg']}", "rtt_seconds")) from error
        if not self.store.reported(request[CONTEXT].client, report.rtt_seconds):
            raise RequestRefusedError(too_many_reports())
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def internal(self, request: web.Request) -> web.Response:
        """Respond with what this gateway has learned."""
        if not bearer_matches(request.headers.get("Authorization"), gateway_token(self.internal_key)):
            return web.json_response({"error": {"message": "A valid bearer token is required."}}, status=401)
        asked = request.query.get("newer_than_seconds", "")
        max_age_seconds = float(asked) if asked.isdecimal() else math.inf
        return web.json_response(self.store.export(max_age_seconds))

    def add_internal(self, app: web.Application) -> None:
        """Add the route of port 9091."""
        app.router.add_get(RTT_PATH, self.internal)

    def gateway_urls(self, caller: Caller) -> dict[str, str]:
        """Return the gateways' URLs by region, of the models that the caller may use."""
        by_name = self.dispatcher.fleet.registry().by_name
        entries = (entry for name in self.dispatcher.names(caller) for entry in by_name[name].regions)
        return {entry.name: entry.gateway_url for entry in entries if entry.gateway_url}
