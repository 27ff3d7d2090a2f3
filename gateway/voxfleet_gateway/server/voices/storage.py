"""Awaits calls of the voices' repository in handlers, and turns its errors into responses.

Knows: which response each error is. Does not know: what is stored.
"""

from collections.abc import Awaitable
from typing import TypeVar

from voxfleet_gateway.errors import RequestRefusedError, VoicesFullError, VoicesUnavailableError
from voxfleet_gateway.refusals import voices_full, voices_unavailable

Result = TypeVar("Result")


async def on_disk(call: Awaitable[Result]) -> Result:
    """Await a call of the repository. Raises RequestRefusedError: 507, 503."""
    try:
        return await call
    except VoicesFullError as error:
        raise RequestRefusedError(voices_full(str(error))) from error
    except VoicesUnavailableError as error:
        raise RequestRefusedError(voices_unavailable(str(error))) from error
