"""The real server process with a tiny checkpoint, as clients and a kubelet use it."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
import websockets.sync.client

PATCH = 7056
TEXT = "The weather is fine today. 今天天气很好。"


def spoken(server: Any, response_format: str, text: str = TEXT, **extra: Any) -> bytes:
    wanted: Any = response_format
    answer = server.client().audio.speech.create(
        model="voxcpm-1.5", voice="default", input=text, response_format=wanted, extra_body=extra
    )
    return answer.content


def samples_of(audio: bytes) -> Any:
    with av.open(io.BytesIO(audio)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=44100)
        return np.concatenate(
            [each.to_ndarray()[0] for f in container.decode(audio=0) for each in resampler.resample(f)]
        )


def test_the_http_process_never_loads_torch(server: Any) -> None:
    assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "libtorch" in Path(f"/proc/{server.engine_pid()}/maps").read_text()


def test_the_same_seed_is_the_same_audio_in_every_format(server: Any) -> None:
    pcm = np.frombuffer(spoken(server, "pcm", seed=3, sample_rate=44100), "<i2") / 32768
    assert len(pcm) >= 2 * 4 * PATCH
    assert len(spoken(server, "pcm", "One sentence has no pauses.", sample_rate=44100)) % (2 * PATCH) == 0
    assert np.array_equal(samples_of(spoken(server, "wav", seed=3)), pcm)
    mp3 = samples_of(spoken(server, "mp3", seed=3))
    assert abs(len(mp3) - len(pcm)) < 3 * 1152
    shift = 1105
    overlap = min(len(mp3) - shift, len(pcm))
    assert (
        np.corrcoef(mp3[shift : shift + overlap], pcm[:overlap])[0, 1] > 0.5
    )  # the tiny model makes noise, which mp3 does not keep exactly
    assert spoken(server, "pcm", seed=4, sample_rate=44100) != spoken(server, "pcm", seed=3, sample_rate=44100)


def test_events_have_the_same_audio_as_a_bare_stream_and_count_its_tokens(server: Any) -> None:
    fixed: dict[str, Any] = {"model": "voxcpm-1.5", "voice": "default", "input": TEXT, "response_format": "pcm"}
    with server.client().audio.speech.with_streaming_response.create(
        **fixed, stream_format="sse", extra_body={"seed": 3}
    ) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    *deltas, done = events
    assert b"".join(base64.b64decode(each["audio"]) for each in deltas) == spoken(server, "pcm", seed=3)
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] > 4
    assert done["usage"]["output_tokens"] >= 2 * 3
    assert [each["text"] for each in done["sentences"]] == ["The weather is fine today.", "今天天气很好。"]


def test_a_session_has_the_same_audio_as_a_request(server: Any) -> None:
    url = server.url("/v1/audio/speech/stream").replace("http", "ws", 1)
    start = {"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm", "seed": 3}
    with websockets.sync.client.connect(url) as socket:
        for message in (start, {"type": "text.append", "text": TEXT}, {"type": "session.end"}):
            socket.send(json.dumps(message))
        received = list(socket)
    messages = [json.loads(each) for each in received if isinstance(each, str)]
    assert [each["type"] for each in messages] == ["session.started", *["sentence.started"] * 2, "session.done"]
    assert b"".join(each for each in received if isinstance(each, bytes)) == spoken(server, "pcm", seed=3)


def test_streaming_sends_audio_while_more_is_made(server: Any) -> None:
    with server.client().audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="random", input=TEXT * 4, response_format="pcm"
    ) as response:
        arrivals = [time.monotonic() for _ in response.iter_bytes(4096)]
        assert int(response.headers["voxfleet-seed"]) >= 0
    assert arrivals[-1] - arrivals[0] > 0.01
    assert len(arrivals) > 10


def test_a_client_that_leaves_stops_the_engine(server: Any, wait_for: Any) -> None:
    with server.client().audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="default", input="word " * 700, response_format="pcm"
    ) as response:
        next(response.iter_bytes(1024))
    wait_for(lambda: server.get("/internal/load", 2).json()["open_requests"], lambda count: count == 0)
    assert wait_for(lambda: steps_within(server, 0.5), lambda steps: steps == 0) == 0


def steps_within(server: Any, seconds: float) -> float:
    before = server.metric("steps_total")
    time.sleep(seconds)
    return float(server.metric("steps_total") - before)


def test_load_has_the_fields_of_the_contract(server: Any) -> None:
    load = server.get("/internal/load", 2).json()
    assert load["state"] == "ready"
    assert load["model"] == "voxcpm-1.5"
    assert load["free_rows"] == 32
    assert min(load["process_seconds"], load["loaded_seconds"], load["warm_seconds"], load["ready_age_seconds"]) > 0
    assert set(load) == {
        *("model", "state", "message", "open_requests", "running_sequences", "waiting_sequences", "free_rows"),
        *("queued_audio_seconds", "audio_seconds_per_second", "step_seconds_p50", "first_audio_seconds_p95"),
        *("last_request_finished_at", "process_seconds", "loaded_seconds", "warm_seconds", "ready_age_seconds", "gpu"),
        "languages",
    }


def test_the_real_engine_fills_the_metrics(server: Any) -> None:
    before = {name: server.metric(name) for name in ("steps_total", "sentences_total", "audio_seconds_total")}
    audio = spoken(server, "pcm", seed=6, sample_rate=44100)
    moved = {name: server.metric(name) - value for name, value in before.items()}
    assert moved["sentences_total"] == 2
    assert moved["steps_total"] >= 4
    assert moved["audio_seconds_total"] >= len(audio) / 2 / 44100 - 2  # without the pause between sentences
    assert server.metric("kv_positions") > 0
    assert server.metric("slots") > 0
    assert server.metric("slack_seconds_count") > 0
    parts = server.http.get(server.url("/metrics", 1)).text
    assert {part for part in ("prefill", "launch", "wait") if f'step_part_seconds_count{{part="{part}"}}' in parts} == {
        "prefill", "launch", "wait",
    }  # fmt: skip


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a token for tests"}]
)
def test_internal_paths_need_the_token(server: Any, headers: dict[str, str]) -> None:
    assert httpx.get(server.url("/internal/load", 2), headers=headers, timeout=30).status_code == 401
    assert httpx.post(server.url("/internal/drain", 2), headers=headers, timeout=30).status_code == 401
    assert server.load()["state"] == "ready"


def test_draining_over_http_can_be_undone(server: Any, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    # As the operator of another cluster sends it through the API server here, which takes Authorization off.
    passed_on = {"Voxfleet-Internal-Token": token}
    assert httpx.post(server.url("/internal/drain", 2), headers=passed_on, timeout=30).json()["state"] == "draining"
    assert server.get("/health/ready").status_code == 503
    with pytest.raises(openai.APIStatusError) as caught:
        spoken(server, "pcm")
    assert caught.value.status_code == 503
    assert httpx.delete(server.url("/internal/drain", 2), headers=headers, timeout=30).json()["state"] == "ready"
    assert server.get("/health/ready").status_code == 200


def test_a_voice_can_be_cloned_from_a_recording(server: Any) -> None:
    recording = base64.b64encode(spoken(server, "mp3", seed=1)).decode()
    cloned = spoken(server, "pcm", seed=1, reference_audio=recording, reference_text=TEXT, sample_rate=44100)
    assert len(cloned) > 0
    assert cloned != spoken(server, "pcm", seed=1, sample_rate=44100)


def test_a_port_in_use_is_one_clear_line(server: Any, start_server: Any, tiny: Path, tmp_path: Path) -> None:
    port = str(server.ports[0])
    with start_server(tmp_path, tiny, "--port", port) as second:
        assert second.process.wait(60) == 2
        lines = second.errors().splitlines()
    assert len(lines) == 1
    assert f"port {port}: Address already in use" in lines[0]
    assert "--port" in lines[0]


def break_off_a_stream_by_killing_the_engine(server: Any) -> int:
    """Kill the engine while a client reads; return its process id."""
    engine: int = server.engine_pid()
    body = {"model": "voxcpm-1.5", "input": "word " * 700, "response_format": "pcm"}
    with httpx.stream("POST", server.url("/v1/audio/speech"), json=body, timeout=60) as response:
        chunks = response.iter_raw()
        next(chunks)
        os.kill(engine, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
    return engine


def test_a_killed_engine_is_restarted_and_gives_the_same_audio(
    start_server: Any, tiny: Path, tmp_path: Path, wait_for: Any
) -> None:
    with start_server(tmp_path, tiny) as server:
        server.wait_for_ready()
        before = spoken(server, "pcm", seed=5)
        killed = break_off_a_stream_by_killing_the_engine(server)
        wait_for(lambda: server.metric("engine_restarts_total"), lambda restarts: restarts == 1)
        assert server.get("/health/live").status_code == 200
        wait_for(server.engine_pid, lambda pid: pid != killed)
        server.wait_for_ready()
        assert spoken(server, "pcm", seed=5) == before
        server.wait_for_idle()
        assert '"exit_code": -9' in server.errors()


def test_the_log_level_holds_for_the_engine_too(tiny: Path, start_server: Any, tmp_path: Path) -> None:
    """At level info the engine logs the progress of loading."""
    with start_server(tmp_path, tiny, "--log-level", "warning") as server:
        server.wait_for_ready()
        assert spoken(server, "pcm", seed=5)
        assert '"level": "info"' not in server.errors()


def test_an_engine_that_dies_too_often_ends_the_server(start_server: Any, tiny: Path, tmp_path: Path) -> None:
    with start_server(tmp_path, tiny, "--max-engine-restarts", "0") as server:
        server.wait_for_ready()
        break_off_a_stream_by_killing_the_engine(server)
        assert server.process.wait(60) == 4
        assert "engine process has ended" in server.termination_log.read_text()


def test_wrong_weights_are_named_everywhere_and_exit_three(start_server: Any, tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with start_server(tmp_path / "server", broken) as server:
        load, ready = server.wait_for_load("failed"), server.get("/health/ready")
        assert server.process.wait(60) == 3
        errors = server.errors()
    assert "model.safetensors" in load["message"]
    assert (ready.status_code, ready.json()["message"]) == (503, load["message"])
    assert f"voxfleet-inference: {load['message']}" in errors
    assert server.termination_log.read_text().strip() == load["message"]


def test_sigterm_finishes_streams_and_exits_zero(server: Any) -> None:
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
    assert server.process.wait(60) == 0
