"""The steps of the story: ask for speech, and watch a region sleep or wake.

Knows the gateway's HTTP API and the VoxTTSDeployment's status, as any user would. Does not know how the cluster
was made, nor how the story is told: the demo narrates these steps, the end-to-end tests assert them.
"""

import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

GROUP, VERSION, PLURAL = "voxfleet.dev", "v1alpha1", "voxttsdeployments"
SAMPLE_RATE_HERTZ = 44_100
BYTES_PER_SAMPLE = 2


class StoryError(Exception):
    """A step of the story did not come true in its time; the message says what was seen instead."""


class RefusedError(StoryError):
    """The gateway answered with an error, or did not answer; `response` is what it said, if it said something."""

    def __init__(self, message: str, response: httpx.Response | None = None) -> None:
        super().__init__(message)
        self.response = response


@dataclass(frozen=True, slots=True)
class Speech:
    """One answer of the speech API, as its listener saw it."""

    region: str
    route: str
    first_audio_seconds: float
    total_seconds: float
    pcm: bytes  # s16le, mono, 44.1 kHz

    @property
    def audio_seconds(self) -> float:
        """How long the audio plays."""
        return len(self.pcm) / (SAMPLE_RATE_HERTZ * BYTES_PER_SAMPLE)

    def save(self, path: Path) -> None:
        """Writes the audio as a WAV file."""
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(BYTES_PER_SAMPLE)
            out.setframerate(SAMPLE_RATE_HERTZ)
            out.writeframes(self.pcm)


def speak(gateway_url: str, text: str, *, model: str, location: str | None = None, hold_seconds: int = 300) -> Speech:
    """Asks the gateway to speak and streams the answer.

    Args:
        gateway_url: where a gateway listens, such as http://10.0.0.7:6006.
        text: what to say.
        model: the model's name, as a resource declares it.
        location: the client's "latitude,longitude", sent in the header that the gateway trusts from its proxies.
        hold_seconds: how long the gateway may hold the request while a region wakes.

    Raises:
        RefusedError: the answer is an error, or there is none.
    """
    headers = {"Prefer": f"wait={hold_seconds}"} | ({"Voxfleet-Client-Location": location} if location else {})
    body = {"model": model, "input": text, "voice": "default", "response_format": "pcm"}
    started = time.monotonic()
    with (
        _refusals(gateway_url),
        httpx.Client(timeout=httpx.Timeout(hold_seconds + 60)) as http,
        http.stream(
            "POST",
            f"{gateway_url}/v1/audio/speech",
            json=body | {"sample_rate": SAMPLE_RATE_HERTZ},
            headers=headers,
        ) as answer,
    ):
        if answer.is_error:
            answer.read()
            raise RefusedError(f"{gateway_url} answered {answer.status_code}: {_reason(answer)}", answer)
        chunks = list(_timed(answer.iter_bytes(), started))
    return Speech(
        region=answer.headers.get("Voxfleet-Region", ""),
        route=answer.headers.get("Voxfleet-Route", ""),
        first_audio_seconds=chunks[0][0] if chunks else float("nan"),
        total_seconds=time.monotonic() - started,
        pcm=b"".join(chunk for _, chunk in chunks),
    )


@contextmanager
def _refusals(gateway_url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise RefusedError(f"{gateway_url} broke the connection off: {error!r}") from error


def _reason(answer: httpx.Response) -> str:
    """The message in OpenAI's error form, or the beginning of whatever was sent."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _timed(chunks: Iterator[bytes], started: float) -> Iterator[tuple[float, bytes]]:
    for chunk in chunks:
        yield time.monotonic() - started, chunk


class Fleet:
    """Reads VoxTTSDeployments and the pods behind them from one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        api = config.new_client_from_config(str(kubeconfig))
        self.objects = client.CustomObjectsApi(api)
        self.core = client.CoreV1Api(api)

    def resource(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """The resource as the API server has it."""
        found: dict[str, Any] = self.objects.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        return found

    def regions(self, name: str, namespace: str = "default") -> dict[str, dict[str, Any]]:
        """Each region's status by the region's name; empty before the operator's first status."""
        rows = self.resource(name, namespace).get("status", {}).get("regions", [])
        return {row["name"]: row for row in rows}

    def condition(self, name: str, kind: str, namespace: str = "default") -> dict[str, Any]:
        """One condition of the resource; empty when it is not set."""
        rows = self.resource(name, namespace).get("status", {}).get("conditions", [])
        return next((row for row in rows if row["type"] == kind), {})

    def pods(self, name: str, region: str, namespace: str = "default") -> list[Any]:
        """The inference pods of one region."""
        selector = f"voxfleet.dev/deployment={name},voxfleet.dev/region={region}"
        found: list[Any] = self.core.list_namespaced_pod(namespace, label_selector=selector).items
        return found

    def wait_phase(
        self, name: str, region: str, phase: str, *, within_seconds: float, namespace: str = "default"
    ) -> float:
        """Waits until the region's phase is the given one; returns the seconds it took.

        Raises:
            StoryError: the phase did not come in time; says the last one seen.
        """
        return wait_until(
            lambda: self.regions(name, namespace).get(region, {}).get("phase"),
            phase,
            what=f"{name}: region {region}'s phase",
            within_seconds=within_seconds,
        )


def wait_until(see: Callable[[], object], wanted: object, *, what: str, within_seconds: float) -> float:
    """Looks every half second until what is seen equals what is wanted; returns the seconds it took.

    Raises:
        StoryError: it did not come in time; says what was seen last.
    """
    started = time.monotonic()
    seen: object = None
    while (waited := time.monotonic() - started) < within_seconds:
        try:
            seen = see()
        except ApiException as error:
            # An API server that restarts is part of some stories; one that stays away ends in StoryError.
            seen = f"{error.status} {error.reason}"
        if seen == wanted:
            return waited
        time.sleep(0.5)
    raise StoryError(f"{what} is {seen!r} after {within_seconds:.0f} s; expected {wanted!r}")
