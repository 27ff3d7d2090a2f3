"""On whose behalf a request comes: a tenant, and how urgent the tenant's requests are.

Knows: the headers of a gateway, which are believed only where the server was told so, and their bounds.
Does not know: HTTP frameworks, keys or queues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

TENANT_HEADER: Final = "voxfleet-tenant"
PRIORITY_HEADER: Final = "voxfleet-priority"
MOST_URGENT: Final = 100
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}")
_PRIORITY: Final = re.compile(r"[+-]?\d{1,3}")


class CallerError(Exception):
    """A header of the gateway is not what it must be; the message names it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is; a higher priority goes first."""

    tenant: str = ""
    priority: int = 0


ANONYMOUS: Final = Caller()


def from_gateway_headers(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """The caller that a trusted gateway names; what it does not name stays.

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
    if not _PRIORITY.fullmatch(given) or abs(int(given)) > MOST_URGENT:
        raise CallerError(f"the header Voxfleet-Priority must be an integer from -{MOST_URGENT} to {MOST_URGENT}")
    return int(given)
