"""Whether a failed attempt is repeated. Pure.

Knows: that nothing is repeated after the first byte of audio; that failures without any response may be repeated
twice; that 5xx responses and timeouts share a budget, so that retries never double the load on an overloaded fleet.
Does not know: pods, sockets, time.
"""

from dataclasses import dataclass

from voxfleet_gateway.errors import UpstreamFailure

MAX_FREE_RETRIES = (
    2  # connect failures, resets, lost pods, refusals of peers: they do no work, so repeating costs it nothing
)
BUDGET_RATIO = 0.10
BUDGET_FLOOR = 3.0  # retries granted to a gateway that has had few requests
BUDGET_CAP = 100.0  # a long quiet time must not allow a burst of retries

FREE_FAILURES = frozenset(
    {UpstreamFailure.CONNECT, UpstreamFailure.RESET, UpstreamFailure.LOST, UpstreamFailure.REFUSED}
)


@dataclass(slots=True)
class RetryBudget:
    """Retries that may still be spent: each request adds BUDGET_RATIO, each paid retry takes 1."""

    balance: float = BUDGET_FLOOR

    def earn(self) -> None:
        """Add the share of one request."""
        self.balance = min(BUDGET_CAP, self.balance + BUDGET_RATIO)

    def spend(self) -> bool:
        """Take one retry; return False, and take nothing, when the balance is below 1."""
        if self.balance < 1.0:
            return False
        self.balance -= 1.0
        return True


def may_retry(failure: UpstreamFailure, earlier_retries: int, budget: RetryBudget, *, first_byte_sent: bool) -> bool:
    """Return whether to try again; spends from the budget unless the failure is a free one."""
    if first_byte_sent or earlier_retries >= MAX_FREE_RETRIES:
        return False
    return failure in FREE_FAILURES or budget.spend()
