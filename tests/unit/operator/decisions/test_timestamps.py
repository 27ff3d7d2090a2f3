"""Timestamps of Kubernetes objects, written and parsed again."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds


@given(st.floats(0, 4e9))
def test_property_a_timestamp_survives_writing(seconds: float) -> None:
    written = to_micro_time(seconds)
    read = to_seconds(written)
    assert read is not None
    assert abs(read - seconds) < 1e-5
    assert to_micro_time(read) == written
