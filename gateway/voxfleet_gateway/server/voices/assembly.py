"""Builds the handlers of voices with what they need of the speech handler.

Knows: which part calls which. Does not know: how any part works.
"""

from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.voices.checker import VoiceChecker
from voxfleet_gateway.voices.pod_voices import PodVoices
from voxfleet_gateway.voices.repository import VoiceRepository


def voice_handlers(speech: Speech, stored: VoiceRepository | None) -> Voices:
    """Return the handlers; recordings are checked by pods of the models that their tenant may use."""
    dispatcher, accounts = speech.dispatcher, speech.accounts

    def tenant_may_use(tenant: str, model: ModelEntry) -> bool:
        return any(dispatcher.may_use(model, caller) for caller in accounts.callers_of(tenant))

    pods = PodVoices(speech.proxy.session, speech.settings.internal_key.get_secret_value())
    checker = VoiceChecker(dispatcher.fleet, pods, stored, tenant_may_use) if stored is not None else None
    return Voices(stored, speech, pods, checker)
