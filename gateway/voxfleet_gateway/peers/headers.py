"""The headers of a request that one region's gateway sends to another's. Pure.

Knows: what the first gateway has found out about the request, and passes on. They are read from a connection whose
certificate is of a known region, and ignored everywhere else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.client_location import COUNTRY_HEADER, LOCATION_HEADER, parse_location
from voxfleet_gateway.decisions.location.address_facts import COUNTRY
from voxfleet_gateway.errors import PeerHeaderError
from voxfleet_gateway.regions import Location

TENANT_HEADER, PRIORITY_HEADER = "Voxfleet-Tenant", "Voxfleet-Priority"
MODEL_HEADER = "Voxfleet-Model"  # the full name: a bare one may mean another resource there
HOPS_HEADER = "Voxfleet-Hops"  # gateways that the request has come through; the next one serves it, or none
DEADLINE_HEADER = "Voxfleet-Deadline-Seconds"  # how long the request may still be held
HOLD_HEADER = "Voxfleet-May-Hold"  # false: to be refused at once where it cannot be served at once
REFUSAL_HEADER = "Voxfleet-Refusal"  # of a response: the code by which the peer's gateway itself refused
MAX_TENANT_CHARACTERS = 253
MAX_MODEL_CHARACTERS = 2 * 253 + 1
MAX_PRIORITY = 1_000_000
MAX_DEADLINE_SECONDS = 86_400.0
TRUE, FALSE = "true", "false"


@dataclass(frozen=True, slots=True)
class SpilledRequest:
    """What the first gateway says about a request."""

    model: str  # empty: the path names it
    tenant: str
    priority: int
    deadline_seconds: float
    may_hold: bool
    location: Location | None
    country: str | None


def spill_headers(  # noqa: PLR0913  # what is passed on
    model: str,
    caller: Caller,
    location: Location | None = None,
    country: str | None = None,
    deadline_seconds: float = 0.0,
    *,
    may_hold: bool = False,
) -> dict[str, str]:
    """Return the headers of a spilled request."""
    headers = {
        MODEL_HEADER: model,
        TENANT_HEADER: caller.tenant,
        PRIORITY_HEADER: str(caller.priority),
        HOPS_HEADER: "1",
        DEADLINE_HEADER: f"{max(0.0, deadline_seconds):.3f}",
        HOLD_HEADER: TRUE if may_hold else FALSE,
    }
    if location is not None:
        headers[LOCATION_HEADER] = f"{location.latitude},{location.longitude}"
    if country is not None:
        headers[COUNTRY_HEADER] = country
    return headers


def read_spill_headers(given: Mapping[str, str]) -> SpilledRequest:
    """Return what the headers say, bounded. Raises PeerHeaderError for a second hop, or what is no number."""
    if (hops := given.get(HOPS_HEADER, "1")) != "1":
        raise PeerHeaderError(f"{HOPS_HEADER} is {hops!r:.40}: a request goes through one other gateway at most")
    country = given.get(COUNTRY_HEADER, "")
    return SpilledRequest(
        model=_text(given, MODEL_HEADER, MAX_MODEL_CHARACTERS),
        tenant=_text(given, TENANT_HEADER, MAX_TENANT_CHARACTERS),
        priority=int(_number(given, PRIORITY_HEADER, -MAX_PRIORITY, MAX_PRIORITY)),
        deadline_seconds=_number(given, DEADLINE_HEADER, 0.0, MAX_DEADLINE_SECONDS),
        may_hold=given.get(HOLD_HEADER, FALSE) == TRUE,
        location=parse_location(given.get(LOCATION_HEADER, "")),
        country=country if COUNTRY.fullmatch(country) else None,
    )


def _text(given: Mapping[str, str], name: str, most_characters: int) -> str:
    text = given.get(name, "")
    if len(text) > most_characters:
        raise PeerHeaderError(f"{name} has {len(text)} characters; the limit is {most_characters}")
    return text


def _number(given: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = given.get(name, "0")
    try:
        number = float(text)
    except ValueError as error:
        raise PeerHeaderError(f"{name} must be a number, not {text!r:.40}") from error
    if math.isnan(number):
        raise PeerHeaderError(f"{name} must be a number, not {text!r:.40}")
    return max(least, min(most, number))
