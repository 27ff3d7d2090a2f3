"""A client's stream from one simulated pod, read in a thread: how it ended is known afterwards.

Knows HTTP. Does not know why a pod ends.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import httpx

from voxfleet_demo.spot.pod_servers import CHUNK, PATCH_SECONDS, SPEECH_PORT

CONNECT_SECONDS = 30.0
SILENT_SECONDS = 60.0  # a chunk is due six times a second; a busy machine is late


@dataclass(slots=True)
class Stream:
    """One request for that many seconds of audio."""

    address: str
    seconds: float
    received_bytes: int = 0
    error: str = ""
    first_audio: threading.Event = field(default_factory=threading.Event)
    _hangs_up: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server still sends."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_complete(self) -> bool:
        """Whether all audio arrived, and the response ended as HTTP ends one."""
        return not self.is_open and not self.error and self.received_bytes == self.expected_bytes

    @property
    def expected_bytes(self) -> int:
        """The bytes of the whole audio."""
        return round(self.seconds / PATCH_SECONDS) * len(CHUNK)

    def start(self) -> Stream:
        """Send the request, and return when the first audio has arrived.

        Raises:
            TimeoutError: no audio came.
        """
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if not self.first_audio.wait(CONNECT_SECONDS):
            raise TimeoutError(f"no audio from {self.address}: {self.error or 'nothing was sent'}")
        return self

    def hang_up(self) -> None:
        """Close the connection as a client does that needs no more audio, and wait until that is done."""
        self._hangs_up.set()
        self.join(SILENT_SECONDS)

    def join(self, within_seconds: float) -> None:
        """Wait for the end of the stream."""
        if self._thread is not None:
            self._thread.join(within_seconds)

    def _read(self) -> None:
        url = f"http://{self.address}:{SPEECH_PORT}/v1/audio/speech"
        timeout = httpx.Timeout(CONNECT_SECONDS, read=SILENT_SECONDS)
        try:
            with (
                httpx.Client(timeout=timeout) as http,
                http.stream("POST", url, json={"seconds": self.seconds}) as answer,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    self.received_bytes += len(chunk)
                    self.first_audio.set()
                    if self._hangs_up.is_set():
                        return
        except httpx.HTTPError as error:
            self.error = f"{type(error).__name__}: {error}"
