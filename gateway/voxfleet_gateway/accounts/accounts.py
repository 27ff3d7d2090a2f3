"""Authenticates callers, holds tenants to their limits, settles and reports what they used.

Knows: the order of these. Does not know: HTTP, where keys come from (key_store.py), how a limit counts (decisions/).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voxfleet_gateway.accounts.key_store import KeyStore
from voxfleet_gateway.accounts.usage import UsageLog
from voxfleet_gateway.decisions.accounts.audio_meter import AudioMeter, AudioSeconds, Source
from voxfleet_gateway.decisions.accounts.limits import Exceeded, Limits, TenantUse, limits_of
from voxfleet_gateway.decisions.caller import CATALOG, SMALL_BODY_BYTES, Caller
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import expired_key, limit_exceeded, missing_key, unknown_key
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import TENANT_REJECTIONS


@dataclass(slots=True)
class Accounts:
    """Shared by all requests of this gateway."""

    settings: Settings
    store: KeyStore
    usage: UsageLog = field(default_factory=UsageLog)
    gateways: Callable[[], int] = lambda: 1  # ready ones, which share the limits
    has_public_models: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    uses: dict[str, TenantUse] = field(default_factory=dict)  # by tenant; there are at most as many as keys

    def caller(self, presented: str, *, is_catalog: bool) -> Caller:
        """Return the caller of a presented key, empty for none. Raises RequestRefusedError (401)."""
        ring, largest = self.store.ring, self.settings.max_body_bytes
        if ring is None:
            return self._without_key()
        if not presented:
            if is_catalog and self.has_public_models():
                return CATALOG
            raise RequestRefusedError(missing_key())
        key = ring.find(presented)
        if key is None:
            raise RequestRefusedError(unknown_key())
        if key.is_expired(datetime.now(UTC)):
            raise RequestRefusedError(expired_key(key.key_id))
        stored = key.stored
        return Caller(
            tenant=stored.tenant,
            priority=limits_of(self.store.tenants, stored.tenant).priority,
            models=key.models,
            max_body_bytes=largest if stored.may_upload else min(largest, SMALL_BODY_BYTES),
            key_id=key.key_id,
            may_upload=stored.may_upload,
            may_operate=stored.may_operate,
            hold_seconds=stored.hold_seconds,
        )

    def callers_of(self, tenant: str) -> list[Caller]:
        """Return the callers of a tenant's valid keys; of a request without a key, where none is asked for."""
        ring, now = self.store.ring, datetime.now(UTC)
        if ring is None or not tenant:  # what was made without a key is every tenant's
            return [Caller(tenant)]
        keys = ring.by_tenant.get(tenant, ())
        return [Caller(tenant, models=key.models) for key in keys if not key.is_expired(now)]

    def visitor(self) -> Caller:
        """Return the caller of a path that needs no key; where the others do, it wakes nothing."""
        return CATALOG if self.store.ring is not None else self._without_key()

    def _without_key(self) -> Caller:
        return Caller(max_body_bytes=self.settings.max_body_bytes, may_operate=self.settings.operate_without_key)

    @contextmanager
    def admitted(self, context: RequestContext) -> Iterator[None]:
        """Count the request against its tenant's rate and open requests. Raises RequestRefusedError (429)."""
        caller = context.caller
        if not _has_account(caller):
            yield
            return
        use, limits, gateways = self._use(caller), self._limits(caller), self._gateways()
        exceeded = use.admit(limits, gateways, self.clock())
        self._update_headers(context)
        if exceeded is not None:
            raise RequestRefusedError(self._refusal(exceeded, caller))
        try:
            yield
        finally:
            use.release()

    @contextmanager
    def kept_open(self, caller: Caller) -> Iterator[None]:
        """Count an admitted request as open for longer than `admitted` does."""
        use = self._use(caller)
        use.open_requests += 1
        try:
            yield
        finally:
            use.release()

    def charge_audio(self, context: RequestContext, estimated_seconds: float) -> None:
        """Charge the estimated audio of a text, to be settled by `finish`. Raises RequestRefusedError (429)."""
        if _has_account(context.caller):
            self._charge_tenant(context, estimated_seconds)
        context.estimated_audio_seconds += estimated_seconds

    def has_account(self, caller: Caller) -> bool:
        """Whether the caller's requests are limited and reported here."""
        return _has_account(caller)

    def lost_key(self, caller: Caller) -> Refusal | None:
        """Return why a caller that was authenticated is so no longer: its key was revoked, or has expired."""
        ring = self.store.ring
        if ring is None or not caller.key_id or caller.peer_region is not None:
            return None
        key = ring.by_id.get(caller.key_id)
        if key is None:
            return unknown_key()
        return expired_key(key.key_id) if key.is_expired(datetime.now(UTC)) else None

    def limits_passing_audio(self, caller: Caller) -> bool:
        """Whether a limit of the caller's counts what only passing audio shows: its seconds, and its end."""
        limits = self._limits(caller)
        counted = limits.audio_seconds_per_minute, limits.concurrent_requests
        return _has_account(caller) and any(each is not None for each in counted)

    def take_wake(self, caller: Caller) -> Refusal | None:
        """Count a wake that the caller causes; return the refusal when its tenant's budget is used up."""
        if not _has_account(caller):
            return None
        exceeded = self._use(caller).take_wake(self._limits(caller), self._gateways(), self.clock())
        return None if exceeded is None else self._refusal(exceeded, caller)

    def finish(self, context: RequestContext) -> None:
        """Settle the audio by what was sent, and report the request's usage, once."""
        sent = AudioSeconds(0.0, Source.BYTES)
        if context.direct_audio_seconds is not None:
            sent = AudioSeconds(round(context.direct_audio_seconds, 3), Source.SERVER)
        elif context.has_direct_audio:
            sent = AudioSeconds(round(context.estimated_audio_seconds, 3), Source.ESTIMATE)
        if (meter := context.meter) is not None:
            meter.estimated_seconds = context.estimated_audio_seconds  # of a session, more than at its first audio
            sent = meter.result()
        if context.audio_charges:
            self._use(context.caller).settle_audio(context.audio_charges, sent.seconds, self.clock())
        if _has_account(context.caller):
            self.usage.write(context, sent)

    def _charge_tenant(self, context: RequestContext, seconds: float) -> None:
        caller = context.caller
        charge = self._use(caller).charge_audio(self._limits(caller), self._gateways(), seconds, self.clock())
        self._update_headers(context)
        if isinstance(charge, Exceeded):
            raise RequestRefusedError(self._refusal(charge, caller))
        if charge is not None:
            context.audio_charges[charge.slot] = context.audio_charges.get(charge.slot, 0.0) + charge.seconds

    def _use(self, caller: Caller) -> TenantUse:
        return self.uses.setdefault(caller.tenant, TenantUse())

    def _limits(self, caller: Caller) -> Limits:
        return limits_of(self.store.tenants, caller.tenant)

    def _gateways(self) -> int:
        return max(1, self.gateways())

    def begin_series(self) -> None:
        """Begin the series of tenants that have keys with 0, before their first request."""
        if (ring := self.store.ring) is not None:
            self.usage.begin_series(ring.by_tenant)

    def _refusal(self, exceeded: Exceeded, caller: Caller) -> Refusal:
        TENANT_REJECTIONS.labels(self.usage.label(caller.tenant), exceeded.name).inc()
        return limit_exceeded(exceeded)

    def _update_headers(self, context: RequestContext) -> None:
        """Keep what is left of the limits, in the form of OpenAI's headers."""
        use, limits, gateways, now = (
            self._use(context.caller),
            self._limits(context.caller),
            self._gateways(),
            self.clock(),
        )
        context.limit_headers = limit_headers(use, limits, gateways, now)


def _has_account(caller: Caller) -> bool:
    """Whether the caller's requests are limited and reported here: not without a key, nor when a peer has done it."""
    return bool(caller.tenant) and caller.peer_region is None


def limit_headers(use: TenantUse, limits: Limits, gateways: int, now_seconds: float) -> dict[str, str]:
    """Return `x-ratelimit-*` as OpenAI's API has them; of audio seconds in the place of tokens."""
    headers: dict[str, str] = {}
    if (bucket := limits.bucket(gateways)) is not None:
        rate, burst = bucket
        left = use.requests.left(rate, burst, now_seconds)
        headers |= _limit("requests", burst, left, (burst - left) / rate)
    if limits.audio_seconds_per_minute is not None:
        share = limits.audio_seconds_per_minute / gateways
        used = use.audio.used(now_seconds)
        reset_seconds = use.audio.wait_seconds(share, share, now_seconds) if used else 0.0
        headers |= _limit("audio-seconds", share, max(0.0, share - used), reset_seconds)
    return headers


def _limit(name: str, limit: float, left: float, reset_seconds: float) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{name}": f"{limit:.0f}",
        f"x-ratelimit-remaining-{name}": f"{int(left)}",
        f"x-ratelimit-reset-{name}": _duration(reset_seconds),
    }


def _duration(seconds: float) -> str:
    """Return a time as OpenAI writes it: 120ms, 6.5s, 1m30s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}m{round(rest)}s" if minutes else f"{rest:g}s"


def meter_for(context: RequestContext, sample_rate: str | None, *, is_events: bool) -> AudioMeter:
    """Return the meter of a response with status 200."""
    rate = int(sample_rate) if sample_rate is not None and sample_rate.isdecimal() and len(sample_rate) < 8 else 0  # noqa: PLR2004
    return AudioMeter(context.response_format, rate or None, is_events, context.estimated_audio_seconds)
