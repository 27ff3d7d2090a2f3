"""What models there are, and waking one on purpose.

Knows: OpenAI's form of the list. Does not know: whether a model sleeps; it exists because a resource declares it.
"""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voxfleet_gateway.decisions.routing import decide
from voxfleet_gateway.dispatch.dispatcher import Dispatcher, with_rules
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.request_context import CONTEXT
from voxfleet_gateway.server.responses import refused_by_decision
from voxfleet_gateway.server.speech import Speech, known_model


@dataclass(slots=True)
class Models:
    """The handlers and what they work with."""

    fleet: Fleet
    dispatcher: Dispatcher
    speech: Speech

    async def list(self, _request: web.Request) -> web.Response:
        """Every name that can be asked for."""
        registry = self.fleet.registry()
        rows = [_row(name, registry.by_name[name]) for name in registry.names()]
        return web.json_response({"object": "list", "data": rows})

    async def get(self, request: web.Request) -> web.Response:
        """One model."""
        name = request.match_info["model"]
        return web.json_response(_row(name, known_model(self.fleet.registry(), name)))

    async def wake(self, request: web.Request) -> web.Response:
        """Wake the region that this client's requests would go to."""
        model = known_model(self.fleet.registry(), request.match_info["model"])
        route_request, region_views = with_rules(self.speech.route_request(request), model), self.fleet.views(model)
        decision = decide(region_views, route_request)
        request[CONTEXT].decided(route_request, region_views, decision)
        if decision.region is None or decision.action == "refuse":
            raise RequestRefusedError(refused_by_decision(decision))
        self.dispatcher.wake(RegionKey(model.namespace, model.name, decision.region))
        state = "awake" if decision.action == "serve" else "waking"
        estimate_seconds = decision.wake_estimate_seconds or 0.0
        return web.json_response(
            {"model": model.full_name, "region": decision.region, "state": state, "ready_in_seconds": estimate_seconds},
            status=200 if state == "awake" else 202,
        )


def _row(name: str, model: ModelEntry) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(model.created_at.timestamp()), "owned_by": "voxfleet"}
