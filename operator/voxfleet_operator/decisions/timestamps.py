"""Instants as Kubernetes writes them (RFC 3339) and as decisions count them (seconds since 1970, a float).

Knows the two formats. Does not read a clock.
"""

from datetime import UTC, datetime


def to_seconds(written: str | None) -> float | None:
    """Seconds since 1970, or None for an absent or broken instant."""
    if not written:
        return None
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        return None


def to_rfc3339(seconds: float) -> str:
    """With whole seconds, as metav1.Time wants it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_micro_time(seconds: float) -> str:
    """With microseconds, as metav1.MicroTime wants it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
