"""The scenario in six steps, printed on the terminal: asleep, woken, spilled, served locally, idle, woken again.

Runs the steps of scenario.py in order and prints what each one shows. Knows: the quickstart resource. Does not know:
which cluster it runs on; `gateway_url_of` returns the URL of a region's gateway.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from voxfleet_demo.installation import CHECKOUT, REGIONS, Installation
from voxfleet_demo.output import DemoOutput
from voxfleet_demo.scenario import Speech, speak

RESOURCE = "narrator"
EUROPE, AMERICA = REGIONS
TEXTS = CHECKOUT / "demo" / "texts"
STORY = {region: f"story.{region}.en.txt" for region in REGIONS}  # each half names the place it is spoken in
WAKE_SECONDS = 600.0  # real weights from a cold disk take minutes
SLEEP_SECONDS = 180.0  # the quickstart's idle time-out, plus pods that drain
POLL_SECONDS = 0.5
WAKE_PARTS = ("node", "container", "image", "process", "weights", "warmUp", "readiness", "other")  # in their order


@dataclass(frozen=True, slots=True)
class DemoRunner:
    """Runs the scenario's steps and prints them."""

    output: DemoOutput
    installation: Installation
    gateway_url_of: Callable[[str], str]  # region -> URL
    folder: Path  # for the WAV files
    started: float  # time.monotonic() when the command started
    has_real_weights: bool = False  # MODEL_PATH is set

    def run(self) -> None:
        """Run all steps, in order.

        Raises:
            ScenarioError: a step failed or missed its deadline.
        """
        self.all_asleep()
        self.request_speech(EUROPE, STORY[EUROPE], f"story-{EUROPE}.wav", "a request wakes its region")
        self.output.print(f"    {time.monotonic() - self.started:.0f} s since the start of the demo")
        self.output.print(
            "  A second client, in the other region. Its region sleeps, so the region that is awake answers"
        )
        self.output.print("  at once while the client's own wakes; the next requests are served there.")
        self.request_speech(AMERICA, STORY[EUROPE], "spilled.wav", "the other region wakes meanwhile")
        self.request_speech(AMERICA, STORY[AMERICA], f"story-{AMERICA}.wav", "the second client, served locally")
        self.output.print(
            f"  Play story-{EUROPE}.wav, then story-{AMERICA}.wav: one story, and each half names its region."
        )
        self.fall_asleep()
        self.request_speech(EUROPE, *self.last_text(), "the next request wakes it again")

    def last_text(self) -> tuple[str, str]:
        """Return the last request's text file and WAV file; only real weights speak Chinese."""
        if self.has_real_weights:
            return "hometown.zh.txt", "chinese.wav"
        self.output.print(
            "  The demo's own voice speaks English only; MODEL_PATH=folder has VoxCPM-1.5 speak Chinese too."
        )
        return STORY[EUROPE], "again.wav"

    def all_asleep(self) -> None:
        """Wait until the resource is ready with no pod in any region."""
        with self.output.step("both regions are asleep"):
            for region in (EUROPE, AMERICA):
                self.installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=60)
        self.show_resource()

    def request_speech(self, region: str, text_file: str, audio_file: str, title: str) -> None:
        """Request speech from a region's gateway, save it, and print the wake's timing if the region was asleep."""
        text = (TEXTS / text_file).read_text().strip()
        awake_before = self.installation.fleet.regions(RESOURCE)[region]["phase"] == "Awake"
        with self.output.step(title) as progress, ThreadPoolExecutor(1) as pool:
            url = self.gateway_url_of(region)
            answer = pool.submit(lambda: speak(url, text, model=RESOURCE, hold_seconds=int(WAKE_SECONDS)))
            while not wait([answer], POLL_SECONDS).done:
                progress(self.region_message(region), None)
            speech = answer.result()
        speech.save(self.folder / audio_file)
        self.output.print(f"    {len(text)} characters: {describe(speech)} -> {audio_file}")
        if not awake_before:
            self.installation.fleet.wait_phase(RESOURCE, region, "Awake", within_seconds=WAKE_SECONDS)
            self.show_wake(region)

    def region_message(self, region: str) -> str:
        """Return the operator's message about a region, or its phase when there is no message."""
        row = self.installation.fleet.regions(RESOURCE).get(region, {})
        return f"{region}: {row.get('message') or row.get('phase', '')}"

    def fall_asleep(self) -> None:
        """Wait without requests until every region is asleep."""
        with self.output.step("no requests; both regions fall asleep") as progress:
            for region in (EUROPE, AMERICA):
                progress(f"waiting for {region}", None)
                self.installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=SLEEP_SECONDS)
        self.show_resource()

    def show_wake(self, region: str) -> None:
        """Print how many seconds each part of the last wake took, from the resource's status."""
        wake = self.installation.fleet.explained_wake(RESOURCE, region)
        parts = [f"{part} {wake[key]}" for part in WAKE_PARTS if (key := f"{part}Seconds") in wake]
        self.output.print(f"    woke in {wake.get('totalSeconds', '?')} s: {', '.join(parts)}")

    def show_resource(self) -> None:
        """Print the output of `kubectl get vtts`."""
        printed = self.installation.kubectl("get", "vtts", RESOURCE, "--output", "wide")
        self.output.print(
            "\n".join(f"    [dim]{line}[/]" for line in ["$ kubectl get vtts -o wide", *printed.splitlines()])
        )


def describe(speech: Speech) -> str:
    """Return one line about a response: region, route, time to first audio, duration."""
    return (
        f"{speech.region} answered ({speech.route}): first audio after {speech.first_audio_seconds:.2f} s,"
        f" {speech.audio_seconds:.1f} s of audio in {speech.total_seconds:.1f} s"
    )
