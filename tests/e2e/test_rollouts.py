"""A changed spec while a client listens: the stream ends on the old server, and a broken change replaces nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from voxfleet_demo.installation import Installation
from voxfleet_demo.scenario import Speech, speak, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

NAME, REGION, LOCATION = "rollouts", "eu-central", "50.11,8.68"
TEXT = "Whenever it is a damp, drizzly November in my soul, I account it high time to get to sea. "
LONG_TEXT = TEXT * 30  # longer to speak than a server takes to start
LONGEST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource under test."""

    installation: Installation

    def ask(self, text: str = TEXT) -> Speech:
        url = self.installation.gateway_url()
        return speak(url, text, model=NAME, location=LOCATION, hold_seconds=LONGEST_SECONDS)

    def asked(self, text: str) -> Future[Speech]:
        """Start a request in the background."""
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.ask, text)
        pool.shutdown(wait=False)
        return future

    def change(self, **spec: Any) -> None:
        self.installation.kubectl("patch", "vtts", NAME, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def pods(self) -> dict[str, Any]:
        """Return the pods that are not being deleted, by name."""
        found = self.installation.fleet.pods(NAME, REGION)
        return {pod.metadata.name: pod for pod in found if pod.metadata.deletion_timestamp is None}

    def open_requests(self, pod: str) -> float:
        """Return what a server counts as open, read in its own container: a terminating pod is still reachable."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/metrics').read().decode())"
        metrics = self.installation.kubectl("exec", pod, "--", "python3", "-c", code)
        rows = [row for row in metrics.splitlines() if row.startswith("voxfleet_inference_open_requests")]
        return float(rows[0].split()[-1])


@pytest.fixture(scope="module")
def awake(installation: Installation) -> Iterator[Subject]:
    installation.apply_quickstart(NAME, idle_timeout_seconds=600)
    subject = Subject(installation)
    subject.change(disruption={"drainSeconds": LONGEST_SECONDS})
    installation.fleet.wait_phase(NAME, REGION, "Asleep", within_seconds=60)
    assert subject.ask().region == REGION
    yield subject
    installation.delete(NAME)


def test_a_stream_ends_on_the_old_server_while_the_next_one_is_served_by_the_new(awake: Subject) -> None:
    (old,) = awake.pods()
    stream = awake.asked(LONG_TEXT)
    wait_until(lambda: awake.open_requests(old), 1.0, what="open requests of the old server", within_seconds=120)
    awake.change(serving={"maxBatchSize": 7})
    wait_until(lambda: old in awake.pods(), False, what="the old server is not ended", within_seconds=LONGEST_SECONDS)
    assert not stream.done(), "the new server was ready while the old one still spoke"
    (new,) = awake.pods()
    assert new != old
    next_one = awake.ask()
    speech = stream.result(LONGEST_SECONDS)
    assert speech.audio_seconds > 10 * next_one.audio_seconds, "it is thirty times as long, and nothing was cut off"
    verified = awake.installation.fleet.condition(NAME, "Verified")
    assert verified["status"] == "True"


def test_a_broken_change_leaves_the_last_server_and_is_reported_in_the_pods_words(awake: Subject) -> None:
    (good,) = awake.pods()
    awake.change(model={"source": "file:///models/absent"})
    wait_until(
        lambda: awake.installation.fleet.condition(NAME, "Degraded").get("reason"),
        "PodFailing",
        what="condition Degraded",
        within_seconds=240,
    )
    assert "/models/absent" in awake.installation.fleet.condition(NAME, "Degraded")["message"]
    assert awake.ask().audio_seconds > 0.6
    assert good in awake.pods()
    assert awake.installation.fleet.condition(NAME, "Ready")["status"] == "True"
