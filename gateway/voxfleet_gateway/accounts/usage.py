"""What tenants used: one JSON line per speech request, which a bill can be made of, and counters.

Knows: the line's fields, and that metrics have the names of the first tenants only. Lines are written at any log level.
Does not know: prices. Never in a line: texts, keys, client addresses.
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from voxfleet_gateway.decisions.accounts.audio_meter import AudioSeconds
from voxfleet_gateway.decisions.accounts.limits import LimitName
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.telemetry import (
    TENANT_AUDIO_SECONDS,
    TENANT_CHARACTERS,
    TENANT_REJECTIONS,
    TENANT_REQUESTS,
    begin_series,
)

MAX_LABELS = 50  # tenants with series of their own; all others share one
OTHER = "other"


@dataclass(slots=True)
class UsageLog:
    """Writes the lines and counts."""

    write_line: Callable[[str], None] = field(default_factory=lambda: structlog.WriteLogger(sys.stdout).msg)
    labelled: set[str] = field(default_factory=set)

    def write(self, context: RequestContext, sent: AudioSeconds) -> None:
        """Write one request's line."""
        label = self.label(context.caller.tenant)
        TENANT_REQUESTS.labels(label, str(context.status)).inc()
        TENANT_CHARACTERS.labels(label).inc(context.input_characters if sent.seconds else 0)
        TENANT_AUDIO_SECONDS.labels(label).inc(sent.seconds)
        self.write_line(json.dumps(usage_fields(context, sent), separators=(",", ":")))

    def begin_series(self, tenants: Iterable[str]) -> None:
        """Begin the series of the first MAX_LABELS tenants by name with 0."""
        for tenant in sorted(tenants)[: MAX_LABELS - len(self.labelled)]:
            label = self.label(tenant)
            begin_series(
                {
                    TENANT_REQUESTS: [(label, "200"), (label, "429"), (label, "503")],
                    TENANT_CHARACTERS: [(label,)],
                    TENANT_AUDIO_SECONDS: [(label,)],
                    TENANT_REJECTIONS: [(label, limit.value) for limit in LimitName],
                }
            )

    def label(self, tenant: str) -> str:
        """Return the tenant's metric label: its name, or `other` beyond MAX_LABELS."""
        if tenant in self.labelled or len(self.labelled) < MAX_LABELS:
            self.labelled.add(tenant)
            return tenant
        return OTHER


def usage_fields(context: RequestContext, sent: AudioSeconds) -> dict[str, object]:
    """Return the line's fields."""
    return {
        "event": "usage",
        "request_id": context.request_id,
        "tenant": context.caller.tenant,
        "key_id": context.caller.key_id,
        "model": "/".join(context.model_ref or ()),
        "region": context.region,
        "characters": context.input_characters,
        "audio_seconds": sent.seconds,
        "audio_seconds_source": sent.source,
        "status": context.status,
        "truncated": context.is_truncated,
        "retries": max(0, context.attempts - 1),
        "started_at": datetime.fromtimestamp(context.started_at, UTC).isoformat(timespec="milliseconds"),
    }
