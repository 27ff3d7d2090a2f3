"""Logs and metrics for a bundle: lines of known events with fields of known form, samples with known labels. Pure.

Knows: the events that operator and gateways log (a test compares them), which of their fields are harmless.
Does not know: pods. Messages and errors are free text, and left out; so are lines that are no JSON.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from voxfleet_cli.report.known_events import EVENTS
from voxfleet_cli.report.picking import (
    CAMEL,
    DROPPED,
    FULL_NAME,
    NAME,
    NUMBER,
    TIME,
    WORD,
    one_of,
    pick,
)

OTHER = "other"  # stands for an event that is not listed
REASON = one_of(CAMEL, WORD)
NUMBERS = (
    *("status", "attempts", "truncated", "response_bytes", "held_seconds", "first_byte_seconds", "total_seconds"),
    *("replicas", "on_demand", "spot", "retry_seconds", "failures", "drain_seconds", "limit"),
    *("keys", "invalid", "tenants", "figures", "errors"),
)
FIELDS: dict[str, Any] = {
    "timestamp": TIME,
    "time": TIME,
    "level": WORD,
    "resource": FULL_NAME,
    "namespace": NAME,
    "region": NAME,
    "kind": CAMEL,
    "phase": CAMEL,
    "reason": REASON,
    "route": WORD,
    "code": REASON,
    "peer": NAME,
    **dict.fromkeys(NUMBERS, NUMBER),
}
METRIC = re.compile(r"(voxfleet|process|python)_[a-z0-9_]{1,80}")
LABELS: dict[str, Any] = {
    "namespace": NAME,
    "name": NAME,
    "region": NAME,
    "pool": WORD,
    "phase": CAMEL,
    "reason": REASON,
    "route": WORD,
    "code": one_of(
        REASON, lambda value: value if isinstance(value, str) and re.fullmatch(r"\d{3}", value) else DROPPED
    ),
    "failure": WORD,
    "part": WORD,
    "peer": NAME,
    "kind": CAMEL,
}


def log_lines(text: str) -> Iterator[str]:
    """Yield what may be kept of each line of a log; a last line counts the others."""
    left_out = 0
    for line in text.splitlines():
        kept = _kept(line)
        left_out += kept is None
        if kept is not None:
            yield json.dumps(kept)
    yield json.dumps({"left_out": left_out})


def _kept(line: str) -> dict[str, Any] | None:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, Mapping):
        return None
    event = given.get("event")
    named = {"event": event if isinstance(event, str) and event in EVENTS else OTHER}
    return {**pick(given, FIELDS), **named}


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    """Return the samples of the product's own metrics, with their harmless labels, without histograms' buckets."""
    found: list[tuple[str, dict[str, str], float]] = []
    try:
        for family in text_string_to_metric_families(text):
            found += [
                (each.name, pick(each.labels, LABELS), each.value)
                for each in family.samples
                if METRIC.fullmatch(each.name) and not each.name.endswith("_bucket")
            ]
    except (ValueError, KeyError):  # the rest is no exposition
        return found
    return found
