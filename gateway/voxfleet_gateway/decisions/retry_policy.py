"""Whether a failed attempt is tried again. Pure.

Knows: that nothing is ever retried after the first byte of audio; that failures without any answer may be repeated
twice; that 5xx answers and timeouts share a budget, so that retries never double the load on a fleet in trouble.
Does not know: pods, sockets, time.
"""

from dataclasses import dataclass

from voxfleet_gateway.errors import UpstreamFailure

MAX_FREE_RETRIES = 2  # connect failures and resets: the pod has done no work
BUDGET_RATIO = 0.10
BUDGET_FLOOR = 3.0  # retries allowed to a gateway that has seen little traffic
BUDGET_CAP = 100.0

FREE_FAILURES = frozenset({UpstreamFailure.CONNECT, UpstreamFailure.RESET})


@dataclass(slots=True)
class RetryBudget:
    """A tenth of a retry earned by every request, spent one by one."""

    balance: float = BUDGET_FLOOR

    def earn(self) -> None:
        """Count one request."""
        self.balance = min(BUDGET_CAP, self.balance + BUDGET_RATIO)

    def spend(self) -> bool:
        """Take one retry from the budget, if there is one."""
        if self.balance < 1.0:
            return False
        self.balance -= 1.0
        return True


def may_retry(failure: UpstreamFailure, earlier_retries: int, budget: RetryBudget, *, first_byte_sent: bool) -> bool:
    """Decide, and spend from the budget where the failure is one that the budget pays for."""
    if first_byte_sent or earlier_retries >= MAX_FREE_RETRIES:
        return False
    return failure in FREE_FAILURES or budget.spend()
