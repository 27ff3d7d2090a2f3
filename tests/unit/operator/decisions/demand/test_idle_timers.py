"""How often gateways renew a Lease."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.demand.idle_timers import renewal_period


@given(st.floats(5, 100_000))
def test_property_two_renewals_fit_into_an_idle_timeout(idle_timeout_seconds: float) -> None:
    assert renewal_period(idle_timeout_seconds) * 2 < idle_timeout_seconds
