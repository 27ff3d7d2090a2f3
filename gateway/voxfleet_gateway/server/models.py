"""GET /v1/models, and POST /v1/models/{model}/wake.

Knows: OpenAI's form of the list. Does not know: whether a model is asleep; it exists because a resource declares it.
"""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import gateway_starting, refused_by_decision
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.speech import Speech


@dataclass(slots=True)
class Models:
    """The handlers."""

    dispatcher: Dispatcher
    speech: Speech

    async def list(self, request: web.Request) -> web.Response:
        """Respond with every name that the caller's requests may use."""
        registry = self.dispatcher.fleet.registry()
        if not self.dispatcher.is_synced():
            raise RequestRefusedError(gateway_starting())
        names = sorted(self.dispatcher.names(request[CONTEXT].caller), key=lambda name: ("/" in name, name))
        rows = [_row(name, registry.by_name[name]) for name in names]
        return web.json_response({"object": "list", "data": rows})

    async def get(self, request: web.Request) -> web.Response:
        """Respond with one model, or 404."""
        name = request.match_info["model"]
        return web.json_response(_row(name, self.dispatcher.model(name, request[CONTEXT].caller)))

    async def wake(self, request: web.Request) -> web.Response:
        """Wake the region that this client's requests would be sent to; respond with 202, or 200 when it is awake."""
        context = request[CONTEXT]
        model = self.dispatcher.model(request.match_info["model"], context.caller)
        decision = self.dispatcher.decide(model, self.speech.route_request(request), context)
        if decision.region is None or decision.action == "refuse":
            raise RequestRefusedError(refused_by_decision(decision))
        refusal = self.dispatcher.wake(model.key(decision.region), context.caller)
        if refusal is not None:
            raise RequestRefusedError(refusal)
        state = "awake" if decision.action == "serve" else "waking"
        estimate_seconds = decision.wake_estimate_seconds or 0.0
        return web.json_response(
            {"model": model.full_name, "region": decision.region, "state": state, "ready_in_seconds": estimate_seconds},
            status=200 if state == "awake" else 202,
        )


def _row(name: str, model: ModelEntry) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(model.created_at.timestamp()), "owned_by": "voxfleet"}
