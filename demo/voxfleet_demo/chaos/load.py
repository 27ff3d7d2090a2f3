"""Steady load: a few clients in both regions, each with one request after another, until the load ends.

Knows: how a client sees the end of a request, and what it does next. Does not know: faults.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from voxfleet_demo.chaos.outcomes import Ending, Outcome, audio_ending, other_gateway
from voxfleet_demo.installation import REGIONS
from voxfleet_demo.scenario import RejectedError, Speech, speak

LOCATIONS = dict(zip(REGIONS, ("50.11,8.68", "39.04,-77.49"), strict=True))  # Frankfurt, Ashburn
TEXTS = ("Call me Ishmael.", "Birds can see colors. We cannot.", "The train was late again.")
SEED = 7  # fixes the audio, so that its length is known
HOLD_SECONDS = 90
CONNECT_SECONDS = 15.0  # within the cluster it takes milliseconds, on a busy machine a second
READ_SECONDS = 135.0  # the gateway must give up first: on a held request, and on a stream without a byte for 120 s
PAUSE_SECONDS = 0.2
MAX_RETRY_SECONDS = 5.0  # cap on Retry-After: a fault lasts a minute
KEEPING, FAR = 1, 2  # kinds of clients; 0 opens a connection to its own region's gateway for each request
RETRYABLE = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(slots=True)
class Load:
    """The clients of one fault, and how their requests ended."""

    model: str
    url_of: Callable[[str], str]  # region -> URL of its gateways
    expected_seconds: dict[str, float]  # text -> audio
    key_of: Callable[[], str] = str  # the API key of a request that begins now; empty: none
    outcomes: list[Outcome] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Run that many clients for the block; leaving it waits until every request has ended."""
        threads = [threading.Thread(target=self._client, args=(number,), daemon=True) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.end()
            for thread in threads:
                thread.join(CONNECT_SECONDS + READ_SECONDS)

    def end(self) -> None:
        """Let every client end with its present request."""
        self._ending.set()

    def _client(self, number: int) -> None:
        """Send requests from one region: of three pairs of clients one keeps its connections, one is far away.

        The latter's gateway stays while its home's pods end, and the other way round.
        """
        home = gateway = REGIONS[number % len(REGIONS)]
        kind = number // len(REGIONS) % 3
        kept = int(kind == KEEPING)
        if kind == FAR:
            gateway = other_gateway(home)
        limits = httpx.Limits(max_keepalive_connections=kept)
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        with httpx.Client(timeout=timeout, limits=limits) as http:
            for text in itertools.islice(itertools.cycle(TEXTS), number, None):
                if self._ending.is_set():
                    return
                outcome, pause_seconds = self._ask(http, gateway, home, text)
                self.outcomes.append(outcome)
                if outcome.ending in {Ending.LOST, Ending.UNREACHED}:
                    gateway = other_gateway(gateway)
                self._ending.wait(pause_seconds)

    def _ask(self, http: httpx.Client, gateway: str, home: str, text: str) -> tuple[Outcome, float]:
        """Send one request; returns its outcome, and how long this client waits before the next."""
        started = time.monotonic()
        if key := self.key_of():
            http.headers["Authorization"] = f"Bearer {key}"
        try:
            speech = ask(http, self.url_of(gateway), self.model, home, text)
        except RejectedError as rejected:
            ending, retry_seconds = rejection_ending(rejected)
            detail = "" if ending is Ending.REFUSED else str(rejected)
            return Outcome(gateway, ending, time.monotonic() - started, detail), retry_seconds or PAUSE_SECONDS
        expected_seconds = self.expected_seconds[text]
        ending = audio_ending(speech.audio_seconds, expected_seconds)
        detail = f"{speech.audio_seconds:.2f} s of audio, expected {expected_seconds:.2f} s"
        detail = "" if ending is Ending.ANSWERED else detail
        return Outcome(gateway, ending, speech.first_audio_seconds, detail), PAUSE_SECONDS


def ask(http: httpx.Client | None, url: str, model: str, home: str, text: str) -> Speech:
    """Send one request of a client at home in a region."""
    return speak(url, text, model=model, location=LOCATIONS[home], hold_seconds=HOLD_SECONDS, seed=SEED, http=http)


def rejection_ending(rejected: RejectedError) -> tuple[Ending, float]:
    """Return how a request without complete audio ended, and its Retry-After, capped; 0 without one."""
    if (response := rejected.response) is not None:
        retry_after = response.headers.get("Retry-After", "")
        if response.status_code in RETRYABLE and retry_after.isdigit():
            return Ending.REFUSED, min(float(retry_after), MAX_RETRY_SECONDS)
        return Ending.LOST, 0.0
    if isinstance(rejected.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
        return Ending.UNREACHED, 0.0
    return (Ending.CUT if rejected.received_bytes else Ending.LOST), 0.0
