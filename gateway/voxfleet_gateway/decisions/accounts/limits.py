"""A tenant's limits, and what it has used of them in this gateway. Pure.

Knows: what each limit counts, a gateway's share of it, when a refused request may be sent again.
Does not know: which request has which tenant, clocks (the time is an argument), how a refusal is written.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from voxfleet_gateway.decisions.accounts.windows import SlidingWindow, TokenBucket
from voxfleet_gateway.errors import TenantEntryError

EVERY_OTHER = "*"  # the name of the limits that each tenant without its own has
MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0
SLOT_FREE_SECONDS = 1.0  # when a place among the concurrent requests is free is not known

Positive = Annotated[float, Field(gt=0, le=1e9)]


class Limits(BaseModel):
    """What the chart's `gateway.tenants[]` has beside the name; a missing limit is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    requests_per_second: Positive | None = None
    burst: Annotated[float, Field(ge=1, le=1e9)] | None = None
    concurrent_requests: Annotated[int, Field(ge=1, le=10**6)] | None = None
    audio_seconds_per_minute: Positive | None = None
    wakes_per_hour: Annotated[int, Field(ge=0, le=10**6)] | None = None
    priority: int = Field(default=0, ge=-100, le=100)

    def bucket(self, gateways: int) -> tuple[float, float] | None:
        """Return one gateway's requests per second and burst; at least one request fits into a burst."""
        if self.requests_per_second is None:
            return None
        burst = self.burst if self.burst is not None else self.requests_per_second
        return self.requests_per_second / gateways, max(1.0, burst / gateways)


UNLIMITED = Limits()


class LimitName(StrEnum):
    """The limits, as metrics and messages name them."""

    REQUESTS = "requests"
    CONCURRENT = "concurrent_requests"
    AUDIO = "audio_seconds"
    WAKES = "wakes"


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that a request does not fit into."""

    name: LimitName
    message: str
    retry_after_seconds: float | None  # None: it never fits


@dataclass(frozen=True, slots=True)
class AudioCharge:
    """Seconds of audio that a text was charged when it was taken, to be settled at its request's end."""

    slot: int
    seconds: float


@dataclass(slots=True)
class TenantUse:
    """What one tenant has used in this gateway. Limits are arguments: they and the number of gateways change."""

    requests: TokenBucket = field(default_factory=TokenBucket)
    audio: SlidingWindow = field(default_factory=lambda: SlidingWindow(MINUTE_SECONDS))
    wakes: SlidingWindow = field(default_factory=lambda: SlidingWindow(HOUR_SECONDS))
    open_requests: int = 0

    def admit(self, limits: Limits, gateways: int, now_seconds: float) -> Exceeded | None:
        """Count a request as open, until `release`; or return the limit that it exceeds, and count nothing."""
        most = limits.concurrent_requests
        if most is not None and self.open_requests >= (share := max(1, most // gateways)):
            message = f"{self.open_requests} requests of this tenant are open; the limit is {share} at this gateway"
            return Exceeded(LimitName.CONCURRENT, message, SLOT_FREE_SECONDS)
        if (bucket := limits.bucket(gateways)) and (wait_seconds := self.requests.take(*bucket, now_seconds)):
            message = f"the limit is {bucket[0]:g} requests per second and a burst of {bucket[1]:g} at this gateway"
            return Exceeded(LimitName.REQUESTS, message, wait_seconds)
        self.open_requests += 1
        return None

    def release(self) -> None:
        """Count the end of an admitted request."""
        self.open_requests -= 1

    def charge_audio(
        self, limits: Limits, gateways: int, seconds: float, now_seconds: float
    ) -> AudioCharge | Exceeded | None:
        """Charge the estimated audio of a request; None where there is no limit."""
        limit = limits.audio_seconds_per_minute
        if limit is None:
            return None
        share = limit / gateways
        if (slot := self.audio.take(seconds, share, limit, now_seconds)) is not None:
            return AudioCharge(slot, seconds)
        used = self.audio.used(now_seconds)
        message = (
            f"{used:.0f} s of audio were requested in the last minute and this text is some {seconds:.0f} s; "
            f"the limit is {share:g} s per minute at this gateway"
        )
        wait_seconds = self.audio.wait_seconds(seconds, share, now_seconds) if seconds <= limit else None
        return Exceeded(LimitName.AUDIO, message, wait_seconds)

    def settle_audio(self, charges: Mapping[int, float], seconds: float, now_seconds: float) -> None:
        """Replace the estimates of one request's charges, by their slots, by what was sent in all."""
        left_seconds = seconds - math.fsum(charges.values())
        for slot in sorted(charges, reverse=True):  # what was not spoken is of the newest text
            part = max(left_seconds, -charges[slot])
            self.audio.correct(slot, part, now_seconds)
            left_seconds -= part

    def take_wake(self, limits: Limits, gateways: int, now_seconds: float) -> Exceeded | None:
        """Count a wake that the tenant causes; or return that its budget is used up."""
        limit = limits.wakes_per_hour
        if limit is None:
            return None
        share = max(1.0, limit / gateways) if limit else 0.0
        if limit and self.wakes.take(1.0, share, share, now_seconds) is not None:
            return None
        message = (
            f"the region is asleep, and this tenant's requests may cause {share:g} wakes per hour at this gateway; "
            "regions that are awake serve them"
        )
        wait_seconds = self.wakes.wait_seconds(1.0, share, now_seconds) if limit else None
        return Exceeded(LimitName.WAKES, message, wait_seconds)


def parse_tenants(text: str) -> Mapping[str, Limits]:
    """Read `[{"name": ..., limits...}]`. Raises TenantEntryError, which names the entry, the field and its value."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TenantEntryError(f"the tenants' limits are not JSON: {error}") from error
    if not isinstance(rows, list):
        raise TenantEntryError("the tenants' limits must be a list of objects with a name")
    limits: dict[str, Limits] = {}
    for row in rows:
        fields = dict(row) if isinstance(row, dict) else {}
        name = fields.pop("name", None)
        if not isinstance(name, str) or not name or name in limits:
            raise TenantEntryError(f"tenant {name!r:.80}: every entry needs a name of its own")
        try:
            limits[name] = Limits.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise TenantEntryError(
                f"tenant {name:.80}: {where}: {first['msg']}, given {first['input']!r:.80}"
            ) from error
    return limits


def limits_of(tenants: Mapping[str, Limits], tenant: str) -> Limits:
    """Return a tenant's limits: its own, else those of every other one, else none."""
    return tenants.get(tenant) or tenants.get(EVERY_OTHER, UNLIMITED)
