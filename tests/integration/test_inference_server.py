"""The real server process with a tiny checkpoint: what a client and a kubelet see of it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
from typer.testing import CliRunner
from voxfleet_inference.cli import app

PATCH = 7056
START_SECONDS = 120.0  # importing torch alone takes half a minute on a crowded machine
TEXT = "The weather is fine today. 今天天气很好。"
TOKEN = "a token for tests"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class ServerProcess:
    process: subprocess.Popen[bytes]
    ports: list[int]
    termination_log: Path
    stderr: Path
    started_at: float

    def url(self, path: str = "", port: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def get(self, path: str, port: int = 0) -> httpx.Response:
        return httpx.get(self.url(path, port), timeout=5, headers={"Authorization": f"Bearer {TOKEN}"})

    def state(self) -> str:
        try:
            return str(self.get("/internal/load", 2).json()["state"])
        except httpx.TransportError:
            return "silent"

    def wait_for_state(self, *states: str) -> str:
        return str(wait_for(self.state, lambda state: state in states))

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url("/v1"), api_key="none", max_retries=0)

    def errors(self) -> str:
        return self.stderr.read_text()


def wait_for(observe: Callable[[], Any], is_enough: Callable[[Any], bool], seconds: float = START_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not is_enough(seen := observe()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


@contextmanager
def server_process(folder: Path, model_path: Path, *flags: str) -> Iterator[ServerProcess]:
    folder.mkdir(exist_ok=True)
    ports, stderr, termination_log = free_ports(3), folder / "stderr.txt", folder / "termination.txt"
    names = ("--port", "--metrics-port", "--internal-port")
    listening = [part for name, port in zip(names, ports, strict=True) for part in (name, str(port))]
    command = [sys.executable, "-m", "voxfleet_inference", "serve", "--model-path", str(model_path)]
    command += ["--device", "cpu", "--dtype", "fp32", "--host", "127.0.0.1", "--cpu-threads", "1", *listening]
    command += ["--internal-token-sha256", hashlib.sha256(TOKEN.encode()).hexdigest(), *flags]
    environment = {**os.environ, "VOXFLEET_TERMINATION_LOG": str(termination_log)}
    with stderr.open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=environment)
    try:
        yield ServerProcess(process, ports, termination_log, stderr, time.monotonic())
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    made = CliRunner().invoke(app, ["tiny-checkpoint", str(folder), "--seed", "0"])
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(scope="module")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("server"), tiny) as running:
        wait_for(running.state, lambda state: state != "silent")
        assert httpx.get(running.url("/health/live"), timeout=5).status_code == 200
        assert running.wait_for_state("ready", "failed") == "ready", running.errors()
        yield running


def spoken(server: ServerProcess, response_format: str, **extra: Any) -> bytes:
    wanted: Any = response_format
    answer = server.client().audio.speech.create(
        model="voxcpm-1.5", voice="default", input=TEXT, response_format=wanted, extra_body=extra
    )
    return answer.content


def samples_of(audio: bytes) -> Any:
    with av.open(io.BytesIO(audio)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=44100)
        return np.concatenate(
            [each.to_ndarray()[0] for f in container.decode(audio=0) for each in resampler.resample(f)]
        )


def test_the_http_process_never_loads_torch(server: ServerProcess) -> None:
    assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "libtorch" in Path(f"/proc/{child_of(server.process.pid)}/maps").read_text()


def test_the_same_seed_is_the_same_audio_in_every_format(server: ServerProcess) -> None:
    pcm = np.frombuffer(spoken(server, "pcm", seed=3, sample_rate=44100), "<i2") / 32768
    assert len(pcm) % PATCH == 0
    assert len(pcm) >= 2 * 4 * PATCH
    assert np.array_equal(samples_of(spoken(server, "wav", seed=3)), pcm)
    mp3 = samples_of(spoken(server, "mp3", seed=3))
    assert abs(len(mp3) - len(pcm)) < 3 * 1152
    shift = 1105
    overlap = min(len(mp3) - shift, len(pcm))
    assert np.corrcoef(mp3[shift : shift + overlap], pcm[:overlap])[0, 1] > 0.5  # the tiny model hisses; mp3 hates hiss
    assert spoken(server, "pcm", seed=4, sample_rate=44100) != spoken(server, "pcm", seed=3, sample_rate=44100)


def test_streaming_sends_audio_while_more_is_made(server: ServerProcess) -> None:
    with server.client().audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="random", input=TEXT * 4, response_format="pcm"
    ) as response:
        arrivals = [time.monotonic() for _ in response.iter_bytes(4096)]
        assert int(response.headers["voxfleet-seed"]) >= 0
    assert arrivals[-1] - arrivals[0] > 0.01
    assert len(arrivals) > 10


def test_a_client_that_leaves_stops_the_engine(server: ServerProcess) -> None:
    with server.client().audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="default", input="word " * 700, response_format="pcm"
    ) as response:
        next(response.iter_bytes(1024))
    wait_for(lambda: server.get("/internal/load", 2).json()["open_requests"], lambda count: count == 0, 10)
    wait_for(lambda: steps_within(server, 0.5), lambda steps: steps == 0, 10)


def steps_within(server: ServerProcess, seconds: float) -> float:
    before = metric(server, "steps_total")
    time.sleep(seconds)
    return metric(server, "steps_total") - before


def metric(server: ServerProcess, name: str) -> float:
    lines = httpx.get(server.url("/metrics", 1), timeout=5).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"voxfleet_inference_{name} "))


def test_load_tells_what_the_contract_names(server: ServerProcess) -> None:
    load = server.get("/internal/load", 2).json()
    assert load["state"] == "ready"
    assert load["model"] == "voxcpm-1.5"
    assert load["free_rows"] == 32
    assert load["loaded_seconds"] > 0
    assert load["warm_seconds"] > 0
    assert set(load) == {
        *("model", "state", "message", "open_requests", "running_sequences", "waiting_sequences", "free_rows"),
        *("queued_audio_seconds", "audio_seconds_per_second", "step_seconds_p50", "first_audio_seconds_p95"),
        *("last_request_finished_at", "loaded_seconds", "warm_seconds", "gpu"),
    }


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_internal_paths_need_the_token(server: ServerProcess, headers: dict[str, str]) -> None:
    assert httpx.get(server.url("/internal/load", 2), headers=headers, timeout=5).status_code == 401
    assert httpx.post(server.url("/internal/drain", 2), headers=headers, timeout=5).status_code == 401
    assert server.state() == "ready"


def test_draining_over_http_can_be_taken_back(server: ServerProcess) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.post(server.url("/internal/drain", 2), headers=token, timeout=5).json()["state"] == "draining"
    assert server.get("/health/ready").status_code == 503
    with pytest.raises(openai.APIStatusError) as caught:
        spoken(server, "pcm")
    assert caught.value.status_code == 503
    assert httpx.delete(server.url("/internal/drain", 2), headers=token, timeout=5).json()["state"] == "ready"
    assert server.get("/health/ready").status_code == 200


def test_a_voice_can_be_cloned_from_a_recording(server: ServerProcess) -> None:
    import base64  # noqa: PLC0415

    recording = base64.b64encode(spoken(server, "mp3", seed=1)).decode()
    cloned = spoken(server, "pcm", seed=1, reference_audio=recording, reference_text=TEXT, sample_rate=44100)
    assert len(cloned) > 0
    assert cloned != spoken(server, "pcm", seed=1, sample_rate=44100)


def test_a_taken_port_is_one_clear_line(server: ServerProcess, tiny: Path, tmp_path: Path) -> None:
    port = str(server.ports[0])
    with server_process(tmp_path, tiny, "--port", port) as second:
        assert second.process.wait(60) == 2
        lines = second.errors().splitlines()
    assert len(lines) == 1
    assert f"port {port}: Address already in use" in lines[0]
    assert "--port" in lines[0]


def test_a_killed_engine_ends_the_server(tiny: Path, tmp_path: Path) -> None:
    with server_process(tmp_path, tiny) as server:
        assert server.wait_for_state("ready", "failed") == "ready", server.errors()
        engine = child_of(server.process.pid)
        body = {"model": "voxcpm-1.5", "input": "word " * 700, "response_format": "pcm"}
        with httpx.stream("POST", server.url("/v1/audio/speech"), json=body, timeout=60) as response:
            chunks = response.iter_raw()
            next(chunks)
            os.kill(engine, signal.SIGKILL)
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
        assert server.state() == "failed"
        assert server.process.wait(15) == 4
        assert "engine process has ended" in server.termination_log.read_text()


def child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def test_wrong_weights_are_named_everywhere_and_exit_three(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with server_process(tmp_path / "server", broken) as server:
        assert server.wait_for_state("failed") == "failed"
        load, ready = server.get("/internal/load", 2).json(), server.get("/health/ready")
        assert server.process.wait(15) == 3
        told = server.errors()
    assert "model.safetensors" in load["message"]
    assert (ready.status_code, ready.json()["message"]) == (503, load["message"])
    assert f"voxfleet-inference: {load['message']}" in told
    assert server.termination_log.read_text().strip() == load["message"]


def test_sigterm_finishes_streams_and_exits_zero(server: ServerProcess) -> None:
    """The last test of this module: it ends the server that the others share."""
    expected = spoken(server, "pcm", seed=9)
    with server.client().audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="default", input=TEXT, response_format="pcm", extra_body={"seed": 9}
    ) as response:
        chunks = response.iter_bytes(1024)
        first = next(chunks)
        server.process.send_signal(signal.SIGTERM)
        rest = b"".join(chunks)
    assert first + rest == expected
    assert server.process.wait(15) == 0
