"""The caller of a request: its tenant, and the priority of the tenant's requests.

Knows: the gateway's headers, which count only with `--trust-gateway-headers`, and their bounds.
Does not know: HTTP frameworks, keys or queues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

TENANT_HEADER: Final = "voxfleet-tenant"
PRIORITY_HEADER: Final = "voxfleet-priority"
VOICE_HEADER: Final = "voxfleet-voice-token"
MAX_PRIORITY: Final = 100
# The form of names in a file of API keys.
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._=-]{1,512}")
_PRIORITY: Final = re.compile(r"[+-]?\d{1,3}")


class CallerError(Exception):
    """A gateway's header is out of bounds; the message names it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant, empty without one; a higher priority is scheduled first."""

    tenant: str = ""
    priority: int = 0
    # By which the tenant's voices are fetched from `--voice-source`; it identifies nothing here.
    voice_token: str = field(default="", compare=False, repr=False)
    has_valid_key: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)  # now; sessions are long


ANONYMOUS: Final = Caller()


def with_voice_token(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Return the caller with the token that the voice source has issued for the request; it checks the token itself."""
    token = headers.get(VOICE_HEADER)
    return caller if token is None or not _TOKEN.fullmatch(token) else replace(caller, voice_token=token)


def from_gateway_headers(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Return the caller with the fields that a trusted gateway's headers set.

    Raises:
        CallerError: a header is out of bounds.
    """
    tenant, priority = headers.get(TENANT_HEADER), headers.get(PRIORITY_HEADER)
    if tenant is not None:
        caller = replace(caller, tenant=_checked_tenant(tenant))
    if priority is not None:
        caller = replace(caller, priority=_checked_priority(priority))
    return caller


def _checked_tenant(given: str) -> str:
    if not _TENANT.fullmatch(given):
        raise CallerError("the header Voxfleet-Tenant must be a name of 1 to 128 letters, digits and . _ / : @ -")
    return given


def _checked_priority(given: str) -> int:
    if not _PRIORITY.fullmatch(given) or abs(int(given)) > MAX_PRIORITY:
        raise CallerError(f"the header Voxfleet-Priority must be an integer from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return int(given)
