"""The steps of the scenario: request speech, and wait for a region to sleep or wake.

Knows: the gateway's HTTP API and the VoxTTSDeployment's status, the interfaces that every user has. Does not know: how
the cluster was made, or what is printed; the demo shows these steps, the end-to-end tests assert them.
"""

import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

GROUP, VERSION, PLURAL = "voxfleet.dev", "v1alpha1", "voxttsdeployments"
EXPLAINED_SECONDS = 60.0
SAMPLE_RATE_HERTZ = 44_100
BYTES_PER_SAMPLE = 2


class ScenarioError(Exception):
    """A step of the scenario missed its deadline; the message has the last state that was read."""


class RejectedError(ScenarioError):
    """The gateway answered with an error status, or the connection failed; `response` is None in the second case."""

    def __init__(self, message: str, response: httpx.Response | None = None, received_bytes: int = 0) -> None:
        super().__init__(message)
        self.response = response
        self.received_bytes = received_bytes  # of audio, before the connection failed


@dataclass(frozen=True, slots=True)
class Speech:
    """One response of the speech API, with the times that the client measured."""

    region: str  # Voxfleet-Region: the region that generated it
    route: str  # Voxfleet-Route: why the gateway chose that region
    first_audio_seconds: float
    total_seconds: float
    pcm: bytes  # s16le, mono, 44.1 kHz

    @property
    def audio_seconds(self) -> float:
        """Return the duration of the audio."""
        return len(self.pcm) / (SAMPLE_RATE_HERTZ * BYTES_PER_SAMPLE)

    def save(self, path: Path) -> None:
        """Write the audio as a WAV file."""
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(BYTES_PER_SAMPLE)
            out.setframerate(SAMPLE_RATE_HERTZ)
            out.writeframes(self.pcm)


def speak(  # noqa: PLR0913 - one argument per part of a request, and all but two by name
    gateway_url: str,
    text: str,
    *,
    model: str,
    location: str | None = None,
    hold_seconds: int = 300,
    seed: int | None = None,
    http: httpx.Client | None = None,
) -> Speech:
    """Request speech from a gateway and read the streamed response to its end.

    Args:
        gateway_url: the gateway's address, such as http://10.0.0.7:6006.
        text: the input to synthesize.
        model: the model's name, as a resource declares it.
        location: the client's "latitude,longitude", sent in the header that the gateway trusts from its proxies.
        hold_seconds: how long the gateway may hold the request while a region wakes (RFC 7240's `Prefer: wait`).
        seed: fixes the audio; None: the server draws one.
        http: the client to send with; None: a new one for this request.

    Raises:
        RejectedError: the response is an error, or the connection failed.
    """
    headers = {"Prefer": f"wait={hold_seconds}"} | ({"Voxfleet-Client-Location": location} if location else {})
    body: dict[str, Any] = {"model": model, "input": text, "voice": "default", "response_format": "pcm"}
    body |= {"sample_rate": SAMPLE_RATE_HERTZ} | ({} if seed is None else {"seed": seed})
    chunks: list[tuple[float, bytes]] = []
    started = time.monotonic()
    with (
        _rejections(gateway_url, chunks),
        _client(http, hold_seconds) as sender,
        sender.stream("POST", f"{gateway_url}/v1/audio/speech", json=body, headers=headers) as answer,
    ):
        if answer.is_error:
            answer.read()
            raise RejectedError(f"{gateway_url} answered {answer.status_code}: {_reason(answer)}", answer)
        # In place, so that a connection that fails leaves what had arrived.
        chunks.extend((time.monotonic() - started, chunk) for chunk in answer.iter_bytes())
    return Speech(
        region=answer.headers.get("Voxfleet-Region", ""),
        route=answer.headers.get("Voxfleet-Route", ""),
        first_audio_seconds=chunks[0][0] if chunks else float("nan"),
        total_seconds=time.monotonic() - started,
        pcm=b"".join(chunk for _, chunk in chunks),
    )


@contextmanager
def _client(given: httpx.Client | None, hold_seconds: int) -> Iterator[httpx.Client]:
    if given is not None:
        yield given
        return
    # The gateway must give up first: its error names the reason, a client's time-out does not.
    with httpx.Client(timeout=httpx.Timeout(hold_seconds + 60)) as made:
        yield made


@contextmanager
def _rejections(gateway_url: str, chunks: Sequence[tuple[float, bytes]]) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        received = sum(len(chunk) for _, chunk in chunks)
        raise RejectedError(f"the connection to {gateway_url} failed: {error!r}", None, received) from error


def _reason(answer: httpx.Response) -> str:
    """Return the message of an OpenAI error object, or the first 200 characters of any other body."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


class Fleet:
    """Reads VoxTTSDeployments and their pods from one cluster's API server."""

    def __init__(self, kubeconfig: Path) -> None:
        api = config.new_client_from_config(str(kubeconfig))
        self.objects = client.CustomObjectsApi(api)
        self.core = client.CoreV1Api(api)

    def last_wake(self, name: str, region: str) -> dict[str, str]:
        """Return the timing of a region's newest wake; empty before the first."""
        found: dict[str, str] = self.regions(name)[region].get("lastWake", {})
        return found

    def explained_wake(self, name: str, region: str, *, after: str | None = None) -> dict[str, str]:
        """Return the newest wake once the server's own parts are in it; `after` is an earlier one's `startedAt`.

        They are there once a gateway has the server's report, some seconds after the region is awake.

        Raises:
            ScenarioError: they are not there within a minute.
        """

        def is_explained() -> bool:
            found = self.last_wake(name, region)
            return found.get("startedAt") != after and "processSeconds" in found

        wait_until(is_explained, True, what="the server's parts in lastWake", within_seconds=EXPLAINED_SECONDS)
        return self.last_wake(name, region)

    def resource(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """Return the resource as the API server stores it."""
        found: dict[str, Any] = self.objects.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        return found

    def regions(self, name: str, namespace: str = "default") -> dict[str, dict[str, Any]]:
        """Return each region's status by the region's name; empty before the operator's first status."""
        rows = self.resource(name, namespace).get("status", {}).get("regions", [])
        return {row["name"]: row for row in rows}

    def condition(self, name: str, kind: str, namespace: str = "default") -> dict[str, Any]:
        """Return one condition of the resource; empty when it is not set."""
        rows = self.resource(name, namespace).get("status", {}).get("conditions", [])
        return next((row for row in rows if row["type"] == kind), {})

    def pods(self, name: str, region: str, namespace: str = "default") -> list[Any]:
        """Return the inference pods of one region."""
        selector = f"voxfleet.dev/deployment={name},voxfleet.dev/region={region}"
        found: list[Any] = self.core.list_namespaced_pod(namespace, label_selector=selector).items
        return found

    def wait_phase(
        self, name: str, region: str, phase: str, *, within_seconds: float, namespace: str = "default"
    ) -> float:
        """Wait until the region is in a phase; returns the seconds it took.

        Raises:
            ScenarioError: the deadline passed; the message has the last phase.
        """
        return wait_until(
            lambda: self.regions(name, namespace).get(region, {}).get("phase"),
            phase,
            what=f"{name}: region {region}'s phase",
            within_seconds=within_seconds,
        )


def wait_until(read: Callable[[], object], expected: object, *, what: str, within_seconds: float) -> float:
    """Poll every half second until `read` returns the expected value; returns the seconds it took.

    Raises:
        ScenarioError: the deadline passed; the message has the last value.
    """
    started = time.monotonic()
    last: object = None
    while (waited := time.monotonic() - started) < within_seconds:
        try:
            last = read()
        except ApiException as error:
            # Tests restart the API server; only one that stays unreachable until the deadline is an error.
            last = f"{error.status} {error.reason}"
        if last == expected:
            return waited
        time.sleep(0.5)
    raise ScenarioError(f"{what} is {last!r} after {within_seconds:.0f} s; expected {expected!r}")
