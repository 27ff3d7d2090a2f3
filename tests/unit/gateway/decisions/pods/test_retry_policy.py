"""No attempt is repeated after the first byte, nor without a limit."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.retry_policy import BUDGET_CAP, RetryBudget, may_retry
from voxfleet_gateway.errors import UpstreamFailure

failures = st.sampled_from(UpstreamFailure)


@given(failures, st.integers(0, 10))
def test_never_after_the_first_byte(failure: UpstreamFailure, earlier: int) -> None:
    assert not may_retry(failure, earlier, RetryBudget(), first_byte_sent=True)


@given(failures)
def test_never_more_than_twice(failure: UpstreamFailure) -> None:
    assert not may_retry(failure, 2, RetryBudget(), first_byte_sent=False)


def test_failures_without_a_response_do_not_spend_the_budget() -> None:
    budget = RetryBudget(balance=0)
    assert may_retry(UpstreamFailure.CONNECT, 1, budget, first_byte_sent=False)
    assert may_retry(UpstreamFailure.RESET, 0, budget, first_byte_sent=False)
    assert not may_retry(UpstreamFailure.ERROR_5XX, 0, budget, first_byte_sent=False)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_paid_retries_stay_within_a_tenth(requests: int, failing: int) -> None:
    budget = RetryBudget()
    for _ in range(requests):
        budget.earn()
    retried = sum(may_retry(UpstreamFailure.TIMEOUT, 0, budget, first_byte_sent=False) for _ in range(failing))
    assert retried <= 3 + requests / 10
    assert retried <= BUDGET_CAP
