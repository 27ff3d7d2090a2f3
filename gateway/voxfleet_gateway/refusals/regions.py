"""What is refused because of a region's state: it sleeps, wakes, is full, fails, or is operated elsewhere. Pure.

Does not know: how a region is chosen (decisions/routing.py), how long requests are held (decisions/hold/).
"""

from collections.abc import Iterable
from http import HTTPStatus

from voxfleet_gateway.decisions.hold.wake_estimate import RETRY_AFTER_MAX_SECONDS, retry_after_seconds
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER, Decision
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import BUSY_RETRY_AFTER_SECONDS, NAME_CHARACTERS, unavailable


def refused_by_decision(decision: Decision) -> Refusal:
    """403 or 503: no region can serve, and none can be waited for."""
    forbidden = decision.route == "forbidden"
    return Refusal(
        status=HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.SERVICE_UNAVAILABLE,
        code=REFUSAL_BY_FILTER.get(decision.route, "no_region"),
        message=decision.message,
        # A country does not change, so a client must not be asked to try again.
        retry_after_seconds=None if forbidden else decision.retry_after_seconds or RETRY_AFTER_MAX_SECONDS,
        wake_estimate_seconds=decision.wake_estimate_seconds,
    )


def still_waking(region: str, held_seconds: float, estimated_seconds: float) -> Refusal:
    """503: the request was held as long as it may be, and its region is not awake yet."""
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        code="region_waking",
        message=f"Region {region} is still waking after {held_seconds:.0f} s; the wake continues. Send the request "
        "again, or send 'Prefer: wait=N' to wait longer.",
        retry_after_seconds=retry_after_seconds(estimated_seconds),
        wake_estimate_seconds=estimated_seconds,
    )


def too_many_waiting(region: str, estimated_seconds: float) -> Refusal:
    """503: the places of the model, of its tenant, or of this process are taken."""
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        code="too_many_waiting",
        message=f"No further request of this size and tenant can wait for region {region}.",
        retry_after_seconds=retry_after_seconds(estimated_seconds),
        wake_estimate_seconds=estimated_seconds,
    )


def still_full(region: str, held_seconds: float, estimated_seconds: float) -> Refusal:
    """503: the request was held as long as it may be, and its region has had no capacity for it."""
    message = f"Region {region} had no capacity for this request within {held_seconds:.0f} s."
    return unavailable("region_full", message, retry_after_seconds(estimated_seconds))


def no_pod_responded(region: str, reason: str) -> Refusal:
    """503: all attempts failed before any audio."""
    return unavailable(
        "upstream_failed", f"No server in region {region} responded: {reason}.", BUSY_RETRY_AFTER_SECONDS
    )


def region_failing(region: str, estimated_seconds: float) -> Refusal:
    """503: every server of the region fails, so that none was asked until the deadline."""
    message = f"The servers in region {region} have failed one after another, and it is left alone for a time."
    return unavailable("upstream_failed", message, retry_after_seconds(estimated_seconds))


def broke_off(region: str) -> Refusal:
    """502: the pod broke the connection after the first byte; only an event stream can still report it."""
    message = f"The server in region {region} broke off before everything was spoken."
    return Refusal(HTTPStatus.BAD_GATEWAY, "upstream_broke_off", message)


def unknown_region(name: str, known: Iterable[str]) -> Refusal:
    """404: the model has no region of this name."""
    message = f"The model has no region {name!r:.{NAME_CHARACTERS}}; its regions: {', '.join(known)}."
    return Refusal(HTTPStatus.NOT_FOUND, "region_not_found", message, "region")


def region_suspended(region: str) -> Refusal:
    """503: its resource keeps the region from serving."""
    message = f"Region {region} is suspended by its resource (spec.suspend, or the region's own); nothing wakes it."
    return unavailable("suspended", message, RETRY_AFTER_MAX_SECONDS)


def region_busy(region: str, open_requests: int, held_requests: int) -> Refusal:
    """409: a region with requests does not sleep."""
    message = (
        f"Region {region} has {open_requests} open and {held_requests} held requests; it sleeps once they have ended."
    )
    return Refusal(HTTPStatus.CONFLICT, "region_busy", message, "region")


def region_elsewhere(region: str, reason: str) -> Refusal:
    """503: the region is in another cluster, and its gateway is not reached."""
    message = f"Region {region} is in another cluster, and its gateway can't be asked: {reason}."
    return unavailable("region_unreachable", message, BUSY_RETRY_AFTER_SECONDS)


def lease_unavailable(region: str, reason: str) -> Refusal:
    """503: the region's demand Lease can't be written now."""
    message = f"The demand Lease of region {region} can't be written: {reason}."
    return unavailable("lease_unavailable", message, BUSY_RETRY_AFTER_SECONDS)
