"""The pod of a region that gets a request."""

import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.balancing import pick_pod, servable, work
from voxfleet_gateway.decisions.pods.ejection import Ejection
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, PodState, ReceivedReport

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
    pod = PodState(endpoint, received, draw(st.integers(0, 80)), draw(st.integers(0, 80)), quarantined)
    pod.unanswered, pod.ejection = draw(st.integers(0, 9)), Ejection(until_seconds=draw(st.sampled_from([0.0, 200.0])))
    return pod


draws = st.floats(0, 1, exclude_max=True)


@given(st.lists(pod_states(), max_size=5), draws)
def test_only_a_servable_pod_below_its_limit_is_picked(pods: list[PodState], draw: float) -> None:
    picked = pick_pod(pods, NOW, draw)
    free = [pod for pod in servable(pods, NOW) if pod.free_requests > 0]
    assert (picked is None) == (not free)
    assert picked is None or picked in free


@given(st.lists(pod_states(), max_size=5), draws)
def test_no_other_pod_has_less_work(pods: list[PodState], draw: float) -> None:
    picked = pick_pod(pods, NOW, draw)
    if picked is not None:
        assert work(picked) == min(work(pod) for pod in servable(pods, NOW) if pod.free_requests > 0)


@given(st.lists(pod_states(), max_size=5))
def test_an_ejected_pod_is_servable_only_when_every_other_one_is_ejected_too(pods: list[PodState]) -> None:
    able = [pod for pod in pods if pod.is_servable(NOW)]
    chosen = servable(pods, NOW)
    assert bool(chosen) == bool(able)
    assert len({pod.ejection.is_active(NOW) for pod in chosen}) <= 1
    assert chosen == able or not any(pod.ejection.is_active(NOW) for pod in chosen)


def ready(number: int, **fields: Any) -> PodState:
    received = ReceivedReport(LoadReport(state="ready", free_rows=64), {}, NOW)
    return PodState(PodEndpoint(PodAddress(f"10.0.0.{number}"), is_ready=True), received, **fields)


def test_equal_pods_are_chosen_evenly() -> None:
    pods = [ready(number) for number in range(4)]
    assert [pick_pod(pods, NOW, draw) for draw in (0.0, 0.3, 0.5, 0.99)] == pods


def test_a_silent_pod_is_left_after_its_first_unanswered_request_whatever_it_reports() -> None:
    silent, fine = ready(1), ready(2)
    sent: Counter[int] = Counter()
    for request in range(60):
        pod = pick_pod([silent, fine], NOW, random.Random(request).random())  # noqa: S311  # a repeatable draw
        assert pod is not None
        sent[id(pod)] += 1
        pod.unanswered += pod is silent
        pod.record_report(ReceivedReport(LoadReport(state="ready", free_rows=64), {}, NOW))
    assert sent[id(silent)] == 1
