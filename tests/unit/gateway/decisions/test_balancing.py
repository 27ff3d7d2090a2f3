"""The pod of a region that gets a request."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.balancing import pick_pod, servable
from voxfleet_gateway.decisions.pod_state import LoadReport, PodAddress, PodEndpoint, PodState, ReceivedReport

NOW = 100.0

reports = st.builds(
    LoadReport,
    state=st.sampled_from(["loading", "warming", "ready", "draining", "failed"]),
    running_sequences=st.integers(0, 64),
    waiting_sequences=st.integers(0, 64),
    free_rows=st.integers(0, 64),
)


@st.composite
def pod_states(draw: Any) -> PodState:
    address = PodAddress(f"10.0.0.{draw(st.integers(1, 250))}")
    endpoint = PodEndpoint(address, is_ready=draw(st.booleans()), is_terminating=draw(st.booleans()))
    report = draw(st.none() | reports)
    received = ReceivedReport(report, {}, draw(st.floats(90, NOW))) if report else None
    quarantined = draw(st.none() | st.just(99.0))
    return PodState(endpoint, received, draw(st.integers(0, 80)), draw(st.integers(0, 80)), quarantined)


@given(st.lists(pod_states(), max_size=5))
def test_only_a_servable_pod_below_its_limit_is_picked(pods: list[PodState]) -> None:
    picked = pick_pod(pods, NOW)
    free = [pod for pod in servable(pods, NOW) if pod.free_requests > 0]
    assert (picked is None) == (not free)
    assert picked is None or picked in free


@given(st.lists(pod_states(), max_size=5))
def test_no_other_pod_has_fewer_waiting_sequences(pods: list[PodState]) -> None:
    picked = pick_pod(pods, NOW)
    if picked is not None:
        free = [pod for pod in servable(pods, NOW) if pod.free_requests > 0]
        assert picked.waiting == min(pod.waiting for pod in free)
