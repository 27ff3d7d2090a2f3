"""Builds what a gateway needs to store voices, and the handlers of voices around the speech handler.

Knows: which part calls which. Does not know: how any part works.
"""

from functools import partial
from pathlib import Path

import aiohttp

from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.internal_routes import InternalVoices
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.voices.checker import MayUse, VoiceChecker
from voxfleet_gateway.voices.disk import VoiceFolder
from voxfleet_gateway.voices.index import Limits
from voxfleet_gateway.voices.peers import VoicePeers
from voxfleet_gateway.voices.pod_voices import PodVoices
from voxfleet_gateway.voices.repository import VoiceRepository
from voxfleet_gateway.voices.sources import Source, Sources, sources_elsewhere


def stored_voices(settings: Settings, session: aiohttp.ClientSession, peering: Peering | None) -> InternalVoices | None:
    """Return the store of voices, kept equal with other gateways; None without a folder."""
    if not settings.voices_dir:
        return None
    key = settings.internal_key.get_secret_value()
    elsewhere = partial(sources_elsewhere, peering) if peering is not None else list[Source]
    peers = VoicePeers(Sources(session, settings.peers, key, elsewhere), settings.voice_sync_seconds)
    limits = Limits(settings.max_voices, settings.max_voices_bytes, settings.max_all_voices_bytes)
    folder = VoiceFolder(Path(settings.voices_dir))
    folder.prepare()  # raises: a gateway whose folder cannot be used is misconfigured
    return InternalVoices(VoiceRepository(folder, limits, peers.ask, peers.announce), peers, key)


def voice_handlers(speech: Speech, stored: VoiceRepository | None) -> Voices:
    """Return the handlers; recordings are checked by pods of the models that their tenant may use."""
    dispatcher, accounts = speech.dispatcher, speech.accounts

    def rights_of(tenant: str) -> MayUse:
        callers = accounts.callers_of(tenant)
        return lambda model: any(dispatcher.may_use(model, caller) for caller in callers)

    pods = PodVoices(speech.proxy.session, speech.settings.internal_key.get_secret_value())
    checker = VoiceChecker(dispatcher.fleet, pods, stored, rights_of) if stored is not None else None
    return Voices(stored, speech, pods, checker)
