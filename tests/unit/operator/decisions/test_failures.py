"""Back-off between failed wakes."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.failures import back_off_seconds


@given(st.integers(1, 100))
def test_property_the_back_off_grows_from_one_to_thirty_minutes(count: int) -> None:
    assert 60 <= back_off_seconds(count) <= back_off_seconds(count + 1) <= 1800
