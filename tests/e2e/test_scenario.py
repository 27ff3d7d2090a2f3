"""The demo's scenario on two nodes: asleep, woken by a request, served by region, asleep again, woken again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from voxfleet_demo.demo_runner import AMERICA, EUROPE
from voxfleet_demo.installation import Installation
from voxfleet_demo.scenario import speak, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

RESOURCE, MODEL = "scenario", "scenario-1"
FRANKFURT, ASHBURN = "50.11,8.68", "39.04,-77.49"
IDLE_SECONDS = 20
WAKE_SECONDS = 180
CHINESE = "我冒了严寒，回到相隔二千余里，别了二十余年的故乡去。"
ENGLISH = "Call me Ishmael. Some years ago I thought I would sail about a little."


@pytest.fixture(scope="module", autouse=True)
def _resource(installation: Installation) -> Iterator[None]:
    installation.apply_quickstart(RESOURCE, model=MODEL, idle_timeout_seconds=IDLE_SECONDS)
    yield
    installation.delete(RESOURCE)


def assert_explained(installation: Installation) -> None:
    """No more than a tenth of the wake is outside of its parts; `make bench-wakes` asserts it for 50 wakes."""
    wake = installation.fleet.explained_wake(RESOURCE, EUROPE)
    seconds = {name: float(value) for name, value in wake.items() if name.endswith("Seconds")}
    total = seconds.pop("totalSeconds")
    assert sum(seconds.values()) == pytest.approx(total), seconds
    assert seconds["otherSeconds"] <= 0.1 * total, seconds


def pods(installation: Installation, region: str) -> int:
    return len(installation.fleet.pods(RESOURCE, region))


def test_no_pod_runs_before_the_first_request(installation: Installation) -> None:
    for region in (EUROPE, AMERICA):
        installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=60)
        assert pods(installation, region) == 0
    ready = installation.fleet.condition(RESOURCE, "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Asleep")
    assert installation.fleet.condition(RESOURCE, "Verified")["status"] == "Unknown"


def test_a_sleeping_model_is_listed(installation: Installation) -> None:
    listed = httpx.get(f"{installation.gateway_url()}/v1/models", timeout=120).json()
    assert MODEL in [model["id"] for model in listed["data"]]


def test_routing_is_explained_with_nothing_but_a_kubeconfig(installation: Installation) -> None:
    """Through a real kubelet's port-forward; explaining wakes nothing, which the next test relies on."""
    asked = ("--client", "203.0.113.9", "--location", FRANKFURT, "--model", MODEL, "--output", "json")
    command = [sys.executable, "-m", "voxfleet_cli", "route", "explain", *asked]
    environment = os.environ | {"KUBECONFIG": str(installation.kubeconfig)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["action"], answer["region"], answer["route"]) == ("hold", EUROPE, "hold-wake")
    assert [each["region"] for each in answer["words"]["regions"]] == [EUROPE, AMERICA]
    assert pods(installation, EUROPE) == 0


def test_a_request_wakes_its_region_and_no_other(installation: Installation) -> None:
    speech = speak(installation.gateway_url(), CHINESE, model=MODEL, location=FRANKFURT, hold_seconds=WAKE_SECONDS)
    assert speech.region == EUROPE
    assert speech.audio_seconds > 0.6  # never fewer than four patches of 160 ms
    assert pods(installation, EUROPE) == 1
    assert pods(installation, AMERICA) == 0
    installation.fleet.wait_phase(RESOURCE, EUROPE, "Awake", within_seconds=30)
    wait_until(
        lambda: installation.fleet.condition(RESOURCE, "Verified").get("status"),
        "True",
        what="condition Verified",
        within_seconds=30,
    )
    wake = installation.fleet.regions(RESOURCE)[EUROPE]["lastWake"]
    assert wake["reason"] == "RequestHeld"
    assert 0 < float(wake["totalSeconds"]) < WAKE_SECONDS
    assert_explained(installation)


def test_the_pod_runs_on_its_regions_node(installation: Installation) -> None:
    (pod,) = installation.fleet.pods(RESOURCE, EUROPE)
    node = installation.fleet.core.read_node(pod.spec.node_name)
    assert node.metadata.labels["topology.kubernetes.io/region"] == EUROPE


def test_a_client_of_the_other_region_is_served_there(installation: Installation) -> None:
    url = installation.gateway_url()
    # The first request may spill to the region that is awake while the nearer one wakes: both are correct.
    first = speak(url, ENGLISH, model=MODEL, location=ASHBURN, hold_seconds=WAKE_SECONDS)
    assert first.region in {EUROPE, AMERICA}
    installation.fleet.wait_phase(RESOURCE, AMERICA, "Awake", within_seconds=WAKE_SECONDS)
    assert speak(url, ENGLISH, model=MODEL, location=ASHBURN).region == AMERICA
    # Where that wake took longer than the idle time-out, the first region sleeps again.
    speak(url, ENGLISH, model=MODEL, location=FRANKFURT, hold_seconds=WAKE_SECONDS)
    installation.fleet.wait_phase(RESOURCE, EUROPE, "Awake", within_seconds=WAKE_SECONDS)
    assert speak(url, ENGLISH, model=MODEL, location=FRANKFURT).region == EUROPE


def test_the_openai_client_is_served(installation: Installation) -> None:
    from openai import OpenAI  # noqa: PLC0415 - heavy, and only this test needs it

    client = OpenAI(base_url=f"{installation.gateway_url()}/v1", api_key="unused", max_retries=0)
    with client.audio.speech.with_streaming_response.create(
        model=MODEL, input=ENGLISH, voice="default", response_format="mp3"
    ) as answer:
        first_bytes = next(answer.iter_bytes())
    assert first_bytes[:3] == b"ID3" or first_bytes[0] == 0xFF


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"model": "nobody", "input": "x", "voice": "default"}, 404, "model"),
        ({"model": MODEL, "input": "", "voice": "default"}, 400, "input"),
        ({"model": MODEL, "input": 7, "voice": "default"}, 400, "input"),
        ({"model": MODEL, "input": "x" * 200_000, "voice": "default"}, 400, "input"),
        ({"model": MODEL, "input": "x", "voice": "nobody"}, 400, "voice"),
        ({"model": MODEL, "input": "x", "voice": "default", "response_format": "tape"}, 400, "response_format"),
    ],
)
def test_wrong_requests_name_their_field(
    installation: Installation, body: dict[str, object], status: int, field: str
) -> None:
    answer = httpx.post(f"{installation.gateway_url()}/v1/audio/speech", json=body, timeout=120)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error["param"] == field
    assert "Voxfleet-Region" in answer.headers


def test_every_region_sleeps_after_the_idle_time_out(installation: Installation) -> None:
    """Phase Asleep and zero pods in each region; the waits raise if that does not come."""
    for region in (EUROPE, AMERICA):
        installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=IDLE_SECONDS + 120)
        wait_until(lambda region=region: pods(installation, region), 0, what=f"{region}'s pods", within_seconds=120)


def test_the_next_request_wakes_it_again(installation: Installation) -> None:
    speech = speak(installation.gateway_url(), ENGLISH, model=MODEL, location=FRANKFURT, hold_seconds=WAKE_SECONDS)
    assert speech.region == EUROPE
    assert speech.audio_seconds > 0.6
    installation.fleet.wait_phase(RESOURCE, EUROPE, "Awake", within_seconds=30)
    assert_explained(installation)
