"""Converts between timestamps of Kubernetes objects (RFC 3339 text) and of decisions (seconds since 1970, a float).

Knows the two formats of metav1. Does not read a clock.
"""

from datetime import UTC, datetime


def to_seconds(written: str | None) -> float | None:
    """Return seconds since 1970, or None for a missing or malformed timestamp."""
    if not written:
        return None
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        return None


def to_rfc3339(seconds: float) -> str:
    """Return a metav1.Time: whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_micro_time(seconds: float) -> str:
    """Return a metav1.MicroTime: microseconds, six digits."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
