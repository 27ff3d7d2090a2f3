"""The story in six chapters, told on the terminal: asleep, a request, awake, elsewhere, silence, awake again.

Does the steps of story.py in order and says what a person should notice. Knows the quickstart resource. Does not know
whose cluster it runs on: `door` gives the address of a region's gateway.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from voxfleet_demo.installation import CHECKOUT, REGIONS, Installation
from voxfleet_demo.narration import Narrator
from voxfleet_demo.story import Speech, speak

RESOURCE = "narrator"
EUROPE, AMERICA = REGIONS
TEXTS = CHECKOUT / "demo" / "texts"
WAKE_SECONDS = 600.0  # real weights from a cold disk take minutes
SLEEP_SECONDS = 180.0
LOOK_SECONDS = 0.5
WAKE_PARTS = ("node", "image", "container", "weights", "warmUp", "other")


@dataclass(frozen=True, slots=True)
class Teller:
    """Everything a chapter needs."""

    narrator: Narrator
    installation: Installation
    door: Callable[[str], str]
    folder: Path
    started: float  # time.monotonic() when the user pressed enter

    def tell(self) -> None:
        """All chapters, in order."""
        self.nothing_runs()
        self.somebody_speaks(EUROPE, "hometown.zh.txt", "chinese.wav", "a request wakes its region")
        self.narrator.say(f"    {time.monotonic() - self.started:.0f} s since the start of the demo")
        self.narrator.say(
            "  A second client, in the other region. That one sleeps, so the region that is awake answers"
        )
        self.narrator.say("  at once while its own wakes; from then on it is served at home.")
        self.somebody_speaks(AMERICA, "loomings.en.txt", "english.wav", "the other region wakes meanwhile")
        self.somebody_speaks(AMERICA, "loomings.en.txt", "english-at-home.wav", "the second client, served at home")
        self.silence()
        self.somebody_speaks(EUROPE, "loomings.en.txt", "again.wav", "the next request wakes it again")

    def nothing_runs(self) -> None:
        """Chapter one: the resource is ready, and no pod of it exists."""
        with self.narrator.step("both regions are asleep"):
            for region in (EUROPE, AMERICA):
                self.installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=60)
        self.show_resource()

    def somebody_speaks(self, region: str, text_file: str, audio_file: str, title: str) -> None:
        """A client in a region asks for speech; the region's gateway holds it until somebody can answer."""
        text = (TEXTS / text_file).read_text().strip()
        awake_before = self.installation.fleet.regions(RESOURCE)[region]["phase"] == "Awake"
        with self.narrator.step(title) as progress, ThreadPoolExecutor(1) as pool:
            door = self.door(region)
            answer = pool.submit(lambda: speak(door, text, model=RESOURCE, hold_seconds=int(WAKE_SECONDS)))
            while not wait([answer], LOOK_SECONDS).done:
                progress(self.doing(region), None)
            speech = answer.result()
        speech.save(self.folder / audio_file)
        self.narrator.say(f"    {len(text)} characters: {describe(speech)} -> {audio_file}")
        if not awake_before:
            self.installation.fleet.wait_phase(RESOURCE, region, "Awake", within_seconds=WAKE_SECONDS)
            self.show_wake(region)

    def doing(self, region: str) -> str:
        """What the region is doing right now, in the operator's words."""
        row = self.installation.fleet.regions(RESOURCE).get(region, {})
        return f"{region}: {row.get('message') or row.get('phase', '')}"

    def silence(self) -> None:
        """Nobody speaks: every region falls asleep by itself."""
        with self.narrator.step("silence; both regions fall asleep") as progress:
            for region in (EUROPE, AMERICA):
                progress(f"waiting for {region}", None)
                self.installation.fleet.wait_phase(RESOURCE, region, "Asleep", within_seconds=SLEEP_SECONDS)
        self.show_resource()

    def show_wake(self, region: str) -> None:
        """Where the seconds of the last wake went, as the status has it."""
        wake = self.installation.fleet.regions(RESOURCE)[region].get("lastWake", {})
        parts = [f"{part} {wake[key]}" for part in WAKE_PARTS if (key := f"{part}Seconds") in wake]
        self.narrator.say(f"    woke in {wake.get('totalSeconds', '?')} s: {', '.join(parts)}")

    def show_resource(self) -> None:
        """What `kubectl get vtts` prints now."""
        printed = self.installation.kubectl("get", "vtts", RESOURCE, "--output", "wide")
        self.narrator.say(
            "\n".join(f"    [dim]{line}[/]" for line in ["$ kubectl get vtts -o wide", *printed.splitlines()])
        )


def describe(speech: Speech) -> str:
    """One line about an answer: who gave it, how soon, how long."""
    return (
        f"{speech.region} answered ({speech.route}): first audio after {speech.first_audio_seconds:.2f} s,"
        f" {speech.audio_seconds:.1f} s of audio in {speech.total_seconds:.1f} s"
    )
