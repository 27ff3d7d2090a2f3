"""Attempts at one request, one after another, until a target answers or none may be tried any more.

Knows: which failures are repeated, that a full pod is waited for and counts as no retry, what the caller gets when no
attempt succeeded. Does not know: what is sent, HTTP or WebSocket; how a target is found.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from voxfleet_gateway.decisions.pods.retry_policy import RetryBudget, may_retry
from voxfleet_gateway.dispatch.target import Target
from voxfleet_gateway.errors import RequestRefusedError, UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.refusals import no_pod_responded
from voxfleet_gateway.telemetry import RETRIES, UPSTREAM_FAILURES

Result = TypeVar("Result")


async def until_answered(
    find_target: Callable[[], Awaitable[Target]],
    attempt: Callable[[Target], Awaitable[Result]],
    budget: RetryBudget,
    is_repeatable: Callable[[], bool],
) -> Result:
    """Find a target and try it, again while that is allowed; return what the attempt returns.

    Raises RequestRefusedError, or the UpstreamFailedError of a pod that has refused in its own words.
    """
    retries, full = 0, None
    while True:
        try:
            target = await find_target()
        except RequestRefusedError as refused:
            if full is None:
                raise
            raise full from refused  # every pod was full until the deadline: the newest one's own words
        try:
            return await attempt(target)
        except UpstreamFailedError as failed:
            UPSTREAM_FAILURES.labels(failed.failure).inc()
            target.record_failure(failed.failure)
            if failed.failure is UpstreamFailure.FULL and is_repeatable():
                full = failed if failed.has_words else full
                continue  # no failure of the request: it is held again, in its old place
            if not may_retry(failed.failure, retries, budget, first_byte_sent=not is_repeatable()):
                if failed.has_words:
                    raise
                raise RequestRefusedError(no_pod_responded(target.key.region, failed.failure.value)) from failed
            retries += 1
            RETRIES.labels(failed.failure).inc()
