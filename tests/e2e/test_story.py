"""What the demo's regions speak is recognised as its text: woken, spilled to another region, and served locally.

Runs on a cluster whose quickstart speaks; Whisper tiny.en recognises, as in benchmarks/speech_errors.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from voxfleet_demo.demo_runner import AMERICA, EUROPE, STORY, TEXTS
from voxfleet_demo.installation import QUICKSTART, Installation
from voxfleet_demo.scenario import SAMPLE_RATE_HERTZ, Speech, speak

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

RESOURCE = "story"
LOCATIONS = {EUROPE: "50.11,8.68", AMERICA: "39.04,-77.49"}
WAKE_SECONDS = 180
MAX_ERROR_RATE = 0.15
SPILLED = "The train was late again, so we drank another cup of coffee. Birds can see colors that we cannot imagine."
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "speech_errors"
ErrorRate = Callable[[Speech, str], float]


@pytest.fixture(scope="module")
def error_rate() -> Iterator[ErrorRate]:
    """Return the word error rate of a response against its text."""
    sys.path.insert(0, str(BENCHMARK))
    recogniser = importlib.import_module("recognition.recogniser").Recogniser()
    count_word_errors = importlib.import_module("recognition.word_errors").count_word_errors

    def measured(speech: Speech, text: str) -> float:
        samples = np.frombuffer(speech.pcm, "<i2").astype(np.float32) / 32_768
        recognised = recogniser.recognise(samples, SAMPLE_RATE_HERTZ)
        rate: float = count_word_errors(text, recognised).rate
        print(f"{rate:.3f}: {recognised}")  # noqa: T201 - pytest shows it when the rate is too high
        return rate

    yield measured
    sys.path.remove(str(BENCHMARK))


@pytest.fixture(scope="module", autouse=True)
def _resource(installation: Installation) -> Iterator[None]:
    source = yaml.safe_load(QUICKSTART.read_text())["spec"]["model"]["source"]
    if source.endswith("/tiny"):
        pytest.skip(f"{QUICKSTART.name} has source {source}: random weights make noise, which is not recognised")
    installation.apply_quickstart(RESOURCE, idle_timeout_seconds=600)
    installation.fleet.wait_phase(RESOURCE, EUROPE, "Asleep", within_seconds=60)
    yield
    installation.delete(RESOURCE)


def spoken(installation: Installation, region: str, text: str) -> Speech:
    url, location = installation.gateway_url(), LOCATIONS[region]
    return speak(url, text, model=RESOURCE, location=location, hold_seconds=WAKE_SECONDS)


def test_each_region_speaks_its_half_across_a_wake_and_a_spill(
    installation: Installation, error_rate: ErrorRate
) -> None:
    first, second = ((TEXTS / STORY[region]).read_text() for region in (EUROPE, AMERICA))
    woken = spoken(installation, EUROPE, first)
    assert (woken.region, woken.route) == (EUROPE, "hold-wake")
    installation.fleet.wait_phase(RESOURCE, EUROPE, "Awake", within_seconds=WAKE_SECONDS)
    spilled = spoken(installation, AMERICA, SPILLED)
    assert (spilled.region, spilled.route) == (EUROPE, "spill-wake")
    installation.fleet.wait_phase(RESOURCE, AMERICA, "Awake", within_seconds=WAKE_SECONDS)
    local = spoken(installation, AMERICA, second)
    assert local.region == AMERICA
    for speech, text in ((woken, first), (spilled, SPILLED), (local, second)):
        assert error_rate(speech, text) <= MAX_ERROR_RATE
