"""Makes a designed voice: a pod, found now or after a wake, here or by another region's gateway, draws it by the seed.

Knows: that it waits and is retried as a speech request is, and what of the pod's file is kept.
Does not know: where the voice is stored.
"""

import time
from dataclasses import dataclass

from aiohttp import web
from voxfleet_protocols.voice_upload import DesignedVoice

from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.pods.retry_policy import may_retry
from voxfleet_gateway.dispatch.target import PodTarget, Target
from voxfleet_gateway.errors import (
    RequestRefusedError,
    UpstreamFailedError,
    UpstreamFailure,
    VoicesNotServedError,
)
from voxfleet_gateway.refusals import model_needed, no_pod_responded, voices_not_designed
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.voices.file_format import Check, StoredVoice, VoiceHeader
from voxfleet_gateway.voices.pod_voices import DESIGN_PATH, PodVoices

# What a voice says that is designed without a text; as the server has it, so that the same design is recognized.
SAMPLE_TEXT = "Hello, this is the voice that you are going to hear."  # words: speech
REQUEST_BYTES = 4096  # of a design that is held


@dataclass(frozen=True, slots=True)
class Designer:
    """Shared by all requests of this gateway."""

    speech: Speech
    pods: PodVoices

    def wanted(self, upload: DesignedVoice, context: RequestContext) -> VoiceHeader:
        """Return what the voice's header will have, whichever pod draws it. Raises RequestRefusedError."""
        model = self._model(upload, context)
        return VoiceHeader(
            id="voice_" + "0" * 32,
            name=upload.name,
            created_at=int(time.time()),
            type="seed",
            transcript=SAMPLE_TEXT if upload.transcript is None else upload.transcript,
            seed=upload.seed,
            prompt=upload.prompt,
            tenant=context.caller.tenant,
            check=Check.PASSED,
            model=model.full_name,
            model_generation=model.generation,
        )

    async def design(self, request: web.Request, wanted: VoiceHeader) -> StoredVoice:
        """Return the voice, drawn by a pod now or after a wake. Raises RequestRefusedError."""
        context, speech = request[CONTEXT], self.speech
        model = speech.dispatcher.model(wanted.model, context.caller)
        context.model, context.model_ref = model.full_name, model.ref
        audio_seconds = estimated_audio_seconds(wanted.transcript)
        speech.accounts.charge_audio(context, audio_seconds)
        speech.budget.earn()
        wait_seconds = speech.hold_seconds(request, model, wants_events=False)
        tenant = context.caller.tenant
        ticket = speech.dispatcher.hold_queues.new_ticket(wait_seconds, tenant, audio_seconds, REQUEST_BYTES)
        return await self._drawn(request, wanted, ticket)

    async def _drawn(self, request: web.Request, wanted: VoiceHeader, ticket: Ticket) -> StoredVoice:
        context, route_request, retries = request[CONTEXT], self.speech.route_request(request), 0
        while True:
            target = await self.speech.dispatcher.find_target(wanted.model, route_request, ticket, context)
            try:
                return await self._attempt(target, wanted, ticket, context)
            except VoicesNotServedError as error:
                raise RequestRefusedError(voices_not_designed()) from error
            except UpstreamFailedError as failed:
                target.record_failure(failed.failure)
                if failed.failure is UpstreamFailure.FULL:
                    continue  # held again, until the ticket's deadline
                if not may_retry(failed.failure, retries, self.speech.budget, first_byte_sent=False):
                    raise RequestRefusedError(no_pod_responded(target.key.region, failed.failure.value)) from failed
                retries += 1

    async def _attempt(
        self, target: Target, wanted: VoiceHeader, ticket: Ticket, context: RequestContext
    ) -> StoredVoice:
        context.attempts += 1
        fields = {"name": wanted.name, "seed": wanted.seed, "transcript": wanted.transcript}
        with target.sending(is_measured=False):
            if isinstance(target, PodTarget):
                return _adopted(wanted, await self.pods.design(target.key, target.pod.address, fields))
            # Another region's gateway, which may hold the request too, and finds a pod.
            session, url = target.session(self.pods.session), target.url(DESIGN_PATH)
            left_seconds = max(0.0, ticket.deadline_seconds - time.monotonic())
            identity = target.identity(context.caller)
            return _adopted(wanted, await self.pods.design_at(session, url, identity, fields, left_seconds))

    def _model(self, upload: DesignedVoice, context: RequestContext) -> ModelEntry:
        dispatcher, caller = self.speech.dispatcher, context.caller
        if upload.model:
            return dispatcher.model(upload.model, caller)
        by_name = dispatcher.fleet.registry().by_name
        usable = sorted({by_name[name].full_name for name in dispatcher.names(caller)})
        if len(usable) != 1:
            raise RequestRefusedError(model_needed(usable))
        return dispatcher.model(usable[0], caller)


def _adopted(wanted: VoiceHeader, drawn: StoredVoice) -> StoredVoice:
    """Return the voice under the header that was wanted. Raises UpstreamFailedError when the pod drew another one."""
    given = drawn.header
    if (given.type, given.seed, given.transcript) != (wanted.type, wanted.seed, wanted.transcript):
        raise UpstreamFailedError(UpstreamFailure.INVALID, "the pod sent another voice than the one that was asked for")
    kept = ("id", "patches", "latents_shape", "payload_bytes")
    return StoredVoice(wanted.model_copy(update={name: getattr(given, name) for name in kept}), drawn.payload)
