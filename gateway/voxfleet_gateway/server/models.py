"""GET /v1/models and /v1/audio/models, and POST /v1/models/{model}/wake.

Knows: which names and voices are a caller's.
Does not know: the forms of the lists (voxfleet_protocols.catalog); whether a model is asleep: it exists because a
resource declares it, and its languages are those that its servers reported last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from voxfleet_protocols import catalog

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.region_standing import wake_wait
from voxfleet_gateway.decisions.voice_names import BUILT_IN
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import gateway_starting, refused_by_decision, region_suspended
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.fleet.contract import WakeAnswer
from voxfleet_gateway.server.fleet.operations import Operations
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.speech import Speech


@dataclass(slots=True)
class Models:
    """The handlers."""

    dispatcher: Dispatcher
    speech: Speech
    operations: Operations

    async def list(self, request: web.Request) -> web.Response:
        """Respond with every name that the caller's requests may use."""
        by_name = self.dispatcher.fleet.registry().by_name
        return web.json_response(catalog.model_list(self._row(name, by_name[name]) for name in self._names(request)))

    async def list_audio(self, request: web.Request) -> web.Response:
        """Respond with the same names in the form that Open WebUI reads."""
        return web.json_response(catalog.audio_models(self._names(request)))

    async def get(self, request: web.Request) -> web.Response:
        """Respond with one model and its voices, or 404."""
        name = request.match_info["model"]
        model = self.dispatcher.model(name, request[CONTEXT].caller)
        voices = catalog.voice_rows(self._voices(model, request), self.dispatcher.fleet.languages(model))
        return web.json_response({**self._row(name, model), "voices": voices})

    def _row(self, name: str, model: ModelEntry) -> dict[str, Any]:
        created = int(model.created_at.timestamp())
        return catalog.model_row(name, model.model, created, self.dispatcher.fleet.languages(model))

    def _names(self, request: web.Request) -> Sequence[str]:
        """Return the caller's names, bare ones first. Raises RequestRefusedError (503) before the models are read."""
        if not self.dispatcher.is_synced():
            raise RequestRefusedError(gateway_starting())
        return sorted(self.dispatcher.names(request[CONTEXT].caller), key=lambda name: ("/" in name, name))

    def _voices(self, model: ModelEntry, request: web.Request) -> Iterator[tuple[str, str]]:
        """Yield what `voice` may be, and its name: built-in voices, the resource's table, the caller's stored ones."""
        yield from ((name, name) for name in BUILT_IN)
        yield from ((name, name) for name in model.voices)
        if (kept := self.speech.voices) is not None:
            tenant = request[CONTEXT].caller.tenant
            yield from ((header.id, header.name) for header in kept.index.of_tenant(tenant))

    async def wake(self, request: web.Request) -> web.Response:
        """Wake the named region, or the one that this client's requests would be sent to.

        Responds with 202, or with 200 when it is awake.
        """
        context = request[CONTEXT]
        model = self.dispatcher.model(request.match_info["model"], context.caller)
        if (key := await self.operations.named_region(request, model)) is not None:
            return self._wake_named(key, model, context.caller)
        decision = self.dispatcher.decide(model, self.speech.route_request(request), context)
        if decision.region is None or decision.action == "refuse":
            raise RequestRefusedError(refused_by_decision(decision))
        refusal = self.dispatcher.wake(model.key(decision.region), context.caller)
        if refusal is not None:
            raise RequestRefusedError(refusal)
        estimate_seconds = decision.wake_estimate_seconds or 0.0
        return _woken(model, decision.region, estimate_seconds, is_awake=decision.action == "serve")

    def _wake_named(self, key: RegionKey, model: ModelEntry, caller: Caller) -> web.Response:
        """Wake this region, whatever a request's own would be. Raises RequestRefusedError (403, 503)."""
        region = self.dispatcher.fleet.regions[key]
        if not region.is_here:
            self.operations.reached(key)
        view = self.dispatcher.fleet.standing(key).view
        if view.is_suspended or model.suspended:
            raise RequestRefusedError(region_suspended(key.region))
        if (refusal := self.dispatcher.wake(key, caller)) is not None:
            raise RequestRefusedError(refusal)
        return _woken(model, key.region, round(wake_wait(view), 1), is_awake=view.is_awake)


def _woken(model: ModelEntry, region: str, seconds: float, *, is_awake: bool) -> web.Response:
    answer = WakeAnswer(
        model=model.full_name, region=region, state="awake" if is_awake else "waking", ready_in_seconds=seconds
    )
    return web.json_response(answer.model_dump(), status=HTTPStatus.OK if is_awake else HTTPStatus.ACCEPTED)
