"""Faults: each part is killed while it is needed most, and the next request is answered all the same."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from voxfleet_demo.installation import Installation
from voxfleet_demo.scenario import RejectedError, Speech, speak, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

REGION, LOCATION = "eu-central", "50.11,8.68"
TEXT = "Whenever it is a damp, drizzly November in my soul, I account it high time to get to sea."
WAKE_SECONDS = 240
# Kills the container's engine processes with SIGKILL, as the kernel's out-of-memory killer does.
KILL_ENGINE = """
import os, pathlib, sys
killed = 0
for entry in pathlib.Path("/proc").glob("[0-9]*"):
    if b"voxfleet_inference.worker" in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
        os.kill(int(entry.name), 9)
        killed += 1
sys.exit(killed != 1)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource under test, and how a client uses it."""

    installation: Installation
    name: str

    def ask(self) -> Speech:
        url = self.installation.gateway_url()
        return speak(url, TEXT, model=self.name, location=LOCATION, hold_seconds=WAKE_SECONDS)

    def asked(self) -> Future[Speech]:
        """Start a request in the background."""
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.ask)
        pool.shutdown(wait=False)
        return future

    def wait_phase(self, phase: str) -> None:
        self.installation.fleet.wait_phase(self.name, REGION, phase, within_seconds=WAKE_SECONDS)

    @property
    def pods(self) -> list[Any]:
        return self.installation.fleet.pods(self.name, REGION)


@contextmanager
def subject(installation: Installation, name: str) -> Iterator[Subject]:
    installation.apply_quickstart(name, idle_timeout_seconds=600)
    made = Subject(installation, name)
    made.wait_phase("Asleep")
    yield made
    installation.delete(name)
    wait_until(lambda: len(made.pods), 0, what="pods left", within_seconds=120)


@pytest.fixture
def asleep(installation: Installation) -> Iterator[Subject]:
    """A resource that has had no request yet."""
    with subject(installation, "faults-asleep") as made:
        yield made


@pytest.fixture(scope="module")
def awake(installation: Installation) -> Iterator[Subject]:
    """A resource that is awake, for all tests of this module."""
    with subject(installation, "faults-awake") as made:
        assert made.ask().region == REGION
        yield made


def test_the_operator_is_killed_while_a_region_wakes(asleep: Subject) -> None:
    speech = asleep.asked()
    asleep.wait_phase("Waking")
    asleep.installation.kill_pods("operator")
    assert speech.result(WAKE_SECONDS).audio_seconds > 0.6
    asleep.wait_phase("Awake")


def test_a_request_arrives_while_the_operator_is_down(asleep: Subject) -> None:
    asleep.installation.kill_pods("operator")
    assert asleep.ask().region == REGION


def test_missing_weights_are_named_in_response_and_status(asleep: Subject) -> None:
    asleep.installation.apply_quickstart(asleep.name, source="file:///models/absent")
    with pytest.raises(RejectedError) as refused:
        asleep.ask()
    answer = refused.value.response
    assert answer is not None
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "/models/absent" in answer.json()["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    asleep.wait_phase("Failed")
    assert "/models/absent" in str(asleep.installation.fleet.resource(asleep.name)["status"]["conditions"])


def test_a_recreated_resource_does_not_inherit_demand(asleep: Subject) -> None:
    assert asleep.ask().region == REGION
    asleep.installation.delete(asleep.name)
    wait_until(lambda: len(asleep.pods), 0, what="pods left", within_seconds=120)
    asleep.installation.apply_quickstart(asleep.name, idle_timeout_seconds=600)
    asleep.wait_phase("Asleep")


def test_gateways_restart_and_the_next_request_is_answered(awake: Subject) -> None:
    awake.installation.restart("gateway")
    assert awake.ask().region == REGION


def test_an_idle_inference_pod_is_killed(awake: Subject) -> None:
    (pod,) = awake.pods
    awake.installation.fleet.core.delete_namespaced_pod(pod.metadata.name, "default", grace_period_seconds=0)
    assert awake.ask().audio_seconds > 0.6


def test_the_engine_in_an_inference_pod_is_killed(awake: Subject) -> None:
    (pod,) = [pod for pod in awake.pods if pod.metadata.deletion_timestamp is None]
    awake.installation.kubectl("exec", pod.metadata.name, "--", "python3", "-c", KILL_ENGINE)
    assert awake.ask().audio_seconds > 0.6


def test_a_client_that_disconnects_ends_its_request(awake: Subject) -> None:
    """The metric of open requests returns to 0; wait_until raises if it does not."""
    assert awake.ask().audio_seconds > 0.6
    body = {"model": awake.name, "input": TEXT * 20, "voice": "default", "response_format": "pcm"}
    url = f"{awake.installation.gateway_url()}/v1/audio/speech"
    headers = {"Voxfleet-Client-Location": LOCATION}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=120) as answer:
        next(answer.iter_bytes())
    (pod,) = [pod for pod in awake.pods if pod.metadata.deletion_timestamp is None]

    def open_requests() -> str:
        metrics = httpx.get(f"http://{pod.status.pod_ip}:9090/metrics", timeout=30).text
        rows = [line for line in metrics.splitlines() if line.startswith("voxfleet_inference_open_requests")]
        return rows[0].split()[-1]

    wait_until(open_requests, "0.0", what="open requests", within_seconds=60)


def test_ten_concurrent_clients_are_all_answered(awake: Subject) -> None:
    barrier = threading.Barrier(10)

    def one(_: int) -> Speech:
        barrier.wait(120)
        return awake.ask()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(one, range(10), timeout=WAKE_SECONDS))
    assert all(answer.audio_seconds > 0.6 for answer in answers)
