"""Has recordings checked by pods that are awake: each at its upload, and those that no pod could check then, later.

Knows: which pods may be sent a tenant's recording (those of models that it may use), that a check wakes nothing, how
often one that failed is tried again. Does not know: HTTP (pod_voices.py), keys.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import structlog

from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.errors import GatewayError, UpstreamFailedError, VoiceFileError, VoicesNotServedError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.telemetry import VOICE_CHECKS
from voxfleet_gateway.voices.check_result import CheckResult
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, VoiceKey, parse
from voxfleet_gateway.voices.pod_voices import PodVoices
from voxfleet_gateway.voices.repository import VoiceRepository

MAX_ATTEMPTS = 2  # pods that are asked about one recording
LOOK_SECONDS = 1.0  # between two looks for a pod that is awake, while recordings are unchecked
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 300.0  # after a check that no pod could make

log = structlog.get_logger(__name__)

MayUse = Callable[[ModelEntry], bool]


@dataclass(slots=True)
class VoiceChecker:
    """Shared by all uploads of this gateway."""

    fleet: Fleet
    pods: PodVoices
    repository: VoiceRepository
    rights_of: Callable[[str], MayUse] = lambda _tenant: lambda _model: True
    look_seconds: float = LOOK_SECONDS
    clock: Callable[[], float] = time.monotonic
    pauses: dict[VoiceKey, tuple[float, float]] = field(default_factory=dict)  # until when, and the next pause's length

    async def check(self, voice: StoredVoice, may_use: MayUse) -> CheckResult | None:
        """Return a pod's decision about a recording; None when no pod that is awake can make one now."""
        for key, pod in islice(self._awake(may_use), MAX_ATTEMPTS):
            try:
                result = await self.pods.check(key, pod, voice)
            except (UpstreamFailedError, VoicesNotServedError) as error:
                log.info("voice_not_checked", voice=voice.header.id, pod=pod.ip, error=str(error))
            else:
                VOICE_CHECKS.labels("usable" if result.is_usable else "unusable").inc()
                return result
        VOICE_CHECKS.labels("none").inc()
        return None

    async def run(self) -> None:
        """Check what is unchecked, whenever a pod is awake, until cancelled."""
        while True:
            await asyncio.sleep(self.look_seconds)
            for header in [*self.repository.index.unchecked.values()]:
                try:
                    await self._settle(header)
                except GatewayError as error:
                    log.warning("voice_not_checked", voice=header.id, error=str(error))
                except Exception:  # whatever one check meets, the next one is made
                    log.exception("voice_not_checked", voice=header.id)
            if self.pauses.keys() - self.repository.index.unchecked.keys():
                self.pauses = {key: self.pauses[key] for key in self.repository.index.unchecked if key in self.pauses}

    async def _settle(self, header: VoiceHeader) -> None:
        until_seconds, pause_seconds = self.pauses.get(header.key, (0.0, FIRST_PAUSE_SECONDS))
        if self.clock() < until_seconds:
            return
        may_use = self.rights_of(header.tenant)
        if next(self._awake(may_use), None) is None:
            return
        # Before the check: whatever ends it, this voice is not the next one again.
        self.pauses[header.key] = self.clock() + pause_seconds, min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        try:
            data = await self.repository.read_own(header.key)
            voice = parse(data, header.key) if data is not None else None
        except VoiceFileError:
            voice = None  # read_own has reported it; a peer's copy may come
        result = await self.check(voice, may_use) if voice is not None else None
        if result is not None:
            log.info("voice_checked", voice=header.id, is_usable=result.is_usable, reason=result.reason)
            await self.repository.settle(header, result)

    def _awake(self, may_use: MayUse) -> Iterator[tuple[RegionKey, PodAddress]]:
        """Yield pods that can take a request now, one per region."""
        for key, region in [*self.fleet.regions.items()]:
            if (
                region.pods
                and region.is_registered
                and may_use(region.model)
                and (pod := self.fleet.pick_pod(key)) is not None
            ):
                yield key, pod.address
