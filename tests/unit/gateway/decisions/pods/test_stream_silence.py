"""A silent stream is cut soon when its pod is gone, and only then."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.pod_state import (
    FRESH_SECONDS,
    LoadReport,
    PodAddress,
    PodEndpoint,
    PodState,
    ReceivedReport,
)
from voxfleet_gateway.decisions.pods.stream_silence import (
    CHECK_SECONDS,
    GONE_SECONDS,
    LATE_SECONDS,
    SILENCE_SECONDS,
    StreamSilence,
)

START = 1000.0


def pod_with(report_seconds: float | None, last_byte_seconds: float = 0.0) -> PodState:
    """Return a pod that reported last at that time, None: never."""
    pod = PodState(PodEndpoint(PodAddress("10.0.0.1")), last_byte_seconds=last_byte_seconds)
    if report_seconds is not None:
        pod.received = ReceivedReport(LoadReport("ready"), {}, report_seconds)
    return pod


CASES: dict[str, tuple[dict[str, Any] | None, float, float | None]] = {
    # the pod's last report and last byte of any stream, before now; seconds of the stream's silence; the wait
    "a wait that begins": ({"report": 0.5}, 0.0, GONE_SECONDS),
    "a dark pod, silent for a moment": ({"report": 8.0}, 4.0, GONE_SECONDS - 4.0),
    "a dark pod, silent for long": ({"report": 11.0}, 10.0, None),
    "a slow pod that reports": ({"report": 0.5}, 60.0, CHECK_SECONDS),
    "a slow pod that reports, for too long": ({"report": 0.5}, SILENCE_SECONDS, None),
    "the long bound is not overslept": ({"report": 0.5}, SILENCE_SECONDS - 0.2, 0.2),
    "a pod whose polls fail, another stream goes on": ({"report": 60.0, "byte": 0.1}, 50.0, GONE_SECONDS - 0.1),
    "a pod whose polls fail, the other stream ended": ({"report": 60.0, "byte": 10.0}, 50.0, None),
    "a pod that was never polled with success": ({"report": None}, 60.0, CHECK_SECONDS),
    "a pod that was never polled, for too long": ({"report": None}, SILENCE_SECONDS, None),
    "another gateway": (None, 60.0, SILENCE_SECONDS - 60.0),
    "another gateway, for too long": (None, SILENCE_SECONDS, None),
}


@pytest.mark.parametrize("case", CASES)
def test_table(case: str) -> None:
    seen, silent_seconds, expected = CASES[case]
    now = START + silent_seconds
    pod = None
    if seen is not None:
        age = seen["report"]
        pod = pod_with(None if age is None else now - age, now - seen["byte"] if "byte" in seen else 0.0)
    silence = StreamSilence(pod, since_seconds=START, check_seconds=now)
    assert silence.wait_seconds(now) == pytest.approx(expected)


def test_time_in_which_this_process_did_not_run_is_no_silence_of_the_pod() -> None:
    pod = pod_with(START)
    silence = StreamSilence(pod)
    silence.begin(START)
    wait_seconds = silence.wait_seconds(START)
    assert wait_seconds == GONE_SECONDS
    resumed = START + wait_seconds + LATE_SECONDS + 60
    assert silence.wait_seconds(resumed) == GONE_SECONDS  # the pod's reports and bytes of a minute are yet to be read
    assert silence.wait_seconds(resumed + GONE_SECONDS) is None


def test_the_time_that_a_client_takes_is_no_silence_of_the_pod() -> None:
    pod = pod_with(START)
    silence = StreamSilence(pod)
    silence.begin(START)
    silence.record_byte(START)
    silence.begin(START + 59)
    assert silence.wait_seconds(START + 59) == GONE_SECONDS


ages = st.floats(0, 200)


@given(
    reports=st.lists(ages, max_size=30).map(sorted),
    others=st.lists(ages, max_size=30).map(sorted),
    was_polled=st.booleans(),
)
def test_a_wait_ends_by_its_pods_end_and_by_nothing_else(
    *, reports: list[float], others: list[float], was_polled: bool
) -> None:
    """Reports and other streams' bytes come at any times; this stream's next byte never comes."""
    pod = pod_with(START if was_polled else None)
    silence = StreamSilence(pod)
    silence.begin(START)
    now = START
    while True:
        for each in reports:
            if START + each <= now and was_polled:
                pod.received = ReceivedReport(LoadReport("ready"), {}, START + each)
        pod.last_byte_seconds = max((START + each for each in others if START + each <= now), default=0.0)
        wait_seconds = silence.wait_seconds(now)
        if wait_seconds is None:
            break
        assert wait_seconds > 0
        now += wait_seconds
    last_byte = max(START, pod.last_byte_seconds)
    last_report = pod.received.received_seconds if pod.received else START
    if now - START < SILENCE_SECONDS:
        assert pod.is_dark(now)
        assert now - last_byte >= GONE_SECONDS - 1e-6
        assert now - max(last_byte + GONE_SECONDS, last_report + FRESH_SECONDS) <= CHECK_SECONDS + 1e-6
    assert now - START <= SILENCE_SECONDS + 1e-6
