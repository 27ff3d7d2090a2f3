"""What is refused because of this gateway process: it starts, ends, is full, or has failed. Pure.

Does not know: anything of the request.
"""

from http import HTTPStatus

from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import BUSY_RETRY_AFTER_SECONDS, unavailable


def gateway_starting() -> Refusal:
    """503: the models have not been read yet, so that none can be called unknown."""
    return unavailable("gateway_starting", "This gateway has not read the models yet; send the request again.", 1)


def gateway_draining() -> Refusal:
    """503: this replica is shutting down; another one serves the next request."""
    return unavailable("gateway_draining", "This gateway is shutting down; send the request again.", 1)


def fleet_streams_full(limit: int) -> Refusal:
    """503: this process has as many streams of the fleet page as it may have for such a key."""
    message = (
        f"This gateway has {limit} streams of the fleet page open, which is the limit; GET /v1/fleet still answers."
    )
    return unavailable("fleet_streams_full", message, BUSY_RETRY_AFTER_SECONDS)


def internal_error() -> Refusal:
    """500: a mistake in the gateway."""
    message = "The gateway failed; its log has the reason."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def pages_not_built() -> Refusal:
    """500: the gateway was installed without the pages of web/."""
    message = "The web pages are not built; run `make setup` in the checkout, or install the wheel."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "pages_not_built", message)
