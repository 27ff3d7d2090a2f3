"""GET /internal/explain: what would be decided about a client's request for a model now, and why, in words.

Knows: the query, and the form of the response. Changes nothing: no wake, no hold, no arrival is counted, and the
client's address is not logged.
Does not know: how it is decided (decisions/routing.py), how the reasons are worded (decisions/explanation.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from voxfleet_gateway.decisions import record
from voxfleet_gateway.decisions.client_location import parse_location
from voxfleet_gateway.decisions.explanation.reasons import NO_FAULTS
from voxfleet_gateway.decisions.explanation.wording import explain_decision
from voxfleet_gateway.decisions.location.address_facts import COUNTRY
from voxfleet_gateway.decisions.location.client_place import UNKNOWN, ClientPlace
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.dispatch.dispatcher import SHOWN_NAMES, Dispatcher
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import bad_request, gateway_starting, unknown_model
from voxfleet_gateway.regions import Location, ModelEntry, RegionKey
from voxfleet_gateway.request_context import new_context
from voxfleet_gateway.server.responses import error_response
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.tokens import bearer_matches, gateway_token

EXPLAIN_PATH = "/internal/explain"
NO_PEERING = "this gateway has no certificate for peers (--peer-tls-folder, in the chart peerTLS.secretName)"


@dataclass(slots=True)
class Explain:
    """The handler. `place_of`: where the client of an address is, by what this gateway knows of addresses."""

    settings: Settings
    dispatcher: Dispatcher
    place_of: Callable[[str], ClientPlace] = lambda _address: UNKNOWN
    peer_fault: Callable[[RegionKey], str] = lambda _key: NO_PEERING  # empty: none

    async def get(self, request: web.Request) -> web.Response:
        """Respond with the explanation, or with 400, 401, 404, 503."""
        try:
            self._authenticate(request)
            return web.json_response(self._body(dict(request.query)))
        except RequestRefusedError as refused:
            return error_response(refused.refusal)

    def _authenticate(self, request: web.Request) -> None:
        key = self.settings.internal_key.get_secret_value()
        if not bearer_matches(request.headers.get("Authorization"), gateway_token(key)):
            message = "A valid bearer token is required."
            raise RequestRefusedError(Refusal(HTTPStatus.UNAUTHORIZED, "invalid_token", message))

    def _body(self, query: dict[str, str]) -> dict[str, Any]:
        address, model = _address(query.get("client", "")), self._model(query.get("model", ""))
        location, country = _given_location(query.get("location")), _given_country(query.get("country"))
        context = new_context("explain", "GET", EXPLAIN_PATH, self.settings.region)
        if location is None and country is None:
            context.client = self.place_of(address)
            location, country = context.client.location, context.client.country
        self.dispatcher.decide(model, RouteRequest(self.settings.region, location, country), context)
        if context.decided is None:
            raise AssertionError("a decision is always recorded")
        about = {"gateway": self.settings.pod_name, "gateway_region": self.settings.region, "model": model.full_name}
        faults = {entry.name: self.peer_fault(model.key(entry.name)) for entry in model.regions}
        return about | {"client": address} | explained(context.decided, faults)

    def _model(self, name: str) -> ModelEntry:
        if not name:
            raise RequestRefusedError(bad_request("'model' must be the name of a model, not empty.", "model"))
        if not self.dispatcher.is_synced():
            raise RequestRefusedError(gateway_starting())
        registry = self.dispatcher.fleet.registry()
        if (model := registry.resolve(name)) is None:
            raise RequestRefusedError(unknown_model(name, registry.names()[:SHOWN_NAMES]))
        return model


def explained(decided: DecisionRecord, faults: Mapping[str, str] = NO_FAULTS) -> dict[str, Any]:
    """Return a decision as JSON values: in words, in figures, and as the record that can be replayed."""
    decision = decided.decision
    return {
        "action": decision.action,
        "region": decision.region,
        "route": decision.route,
        "retry_after_seconds": decision.retry_after_seconds,
        "wake_estimate_seconds": decision.wake_estimate_seconds,
        "wake": [*decision.wake],
        "words": asdict(explain_decision(decided, faults)),
        "record": {"event": "request", "request_id": "explain", **record.to_json(decided)},
    }


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        message = f"'client' must be an IPv4 or IPv6 address, such as 203.0.113.9, not {text!r:.80}."
        raise RequestRefusedError(bad_request(message, "client")) from error


def _given_location(text: str | None) -> Location | None:
    if text is None:
        return None
    if (location := parse_location(text)) is None:
        message = f"'location' must be latitude,longitude in degrees, such as 31.2,121.5, not {text!r:.80}."
        raise RequestRefusedError(bad_request(message, "location"))
    return location


def _given_country(text: str | None) -> str | None:
    if text is not None and not COUNTRY.fullmatch(text):
        message = f"'country' must be two capital letters (ISO 3166-1 alpha-2), such as CN, not {text!r:.80}."
        raise RequestRefusedError(bad_request(message, "country"))
    return text
