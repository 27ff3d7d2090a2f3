"""Faults around the real server: clients, engine, memory, disk, checkpoint."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import socket
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

SPEECH = {"model": "voxcpm-1.5", "voice": "default", "input": "A sentence to be spoken.", "response_format": "pcm"}
MANY_WORDS = "word " * 700
AT_ONCE = 16


@pytest.fixture(scope="module")
def server(tiny: Path, start_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("faults")
    flags = ("--voices-dir", str(folder / "voices"), "--slow-client-seconds", "2", "--max-step-seconds", "5")
    flags += ("--max-engine-restarts", "20")  # for all tests of this module together
    with start_server(folder, tiny, *flags) as running:
        running.wait_for_ready()
        yield running


@pytest.fixture(autouse=True)
def _unchanged(server: Any, wait_for: Any) -> Iterator[None]:
    """Assert after each test that nothing is open and the same seed gives the same bytes."""
    before, files = spoken(server), server.open_files()
    yield
    server.wait_for_ready()
    server.wait_for_idle()
    assert spoken(server) == before
    wait_for(server.open_files, lambda count: count <= files + 3)


def spoken(server: Any) -> bytes:
    return bytes(server.http.post(server.url("/v1/audio/speech"), json={**SPEECH, "seed": 7}, timeout=60).content)


def request_bytes(**changes: Any) -> bytes:
    body = json.dumps({**SPEECH, **changes}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connection_to(server: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.ports[0]), timeout=60)


STAGES = ["connected", "in a header", "after the headers", "in the body", "sent", "first audio", "more audio"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
def test_a_client_may_disconnect_at_any_stage(server: Any, stage: str, is_reset: bool) -> None:  # noqa: FBT001
    request = request_bytes(input=MANY_WORDS)
    headers = request.index(b"\r\n\r\n") + 4
    sent = {"connected": 0, "in a header": 30, "after the headers": headers, "in the body": headers + 100}
    reads = {"first audio": 1000, "more audio": 200_000}
    with connection_to(server) as leaving:
        leaving.sendall(request[: sent.get(stage, len(request))])
        received = 0
        while received < reads.get(stage, 0):
            received += len(leaving.recv(65536))
        if is_reset:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.wait_for_idle()
    assert "Traceback" not in server.errors()


def test_a_half_closed_connection_ends(server: Any) -> None:
    with connection_to(server) as half:
        half.sendall(request_bytes(input=MANY_WORDS))
        half.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while half.recv(65536):
                pass
    server.wait_for_idle()
    assert server.load()["open_requests"] == 0


def test_clients_with_incomplete_headers_do_not_block_requests(server: Any) -> None:
    trickling = [connection_to(server) for _ in range(100)]
    for number, each in enumerate(trickling):
        each.sendall(request_bytes()[: 10 + number])
    assert spoken(server)
    for each in trickling:
        each.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client at the wrong port
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 4_000_000 + b"\r\n\r\n",
        b"\0" * 5000,
    ],
    ids=["tls", "version", "negative length", "two lengths", "chunk size", "long path", "long header", "zeros"],
)
def test_invalid_http_gets_an_error_or_is_disconnected(server: Any, noise: bytes) -> None:
    with connection_to(server) as wrong:
        answer = b""
        try:
            wrong.sendall(noise)
            wrong.shutdown(socket.SHUT_WR)
            while piece := wrong.recv(65536):
                answer += piece
        except TimeoutError:
            raise
        except OSError:  # reset, or closed before this side could close its half
            pass
    assert not answer or answer.split()[1] in {b"400", b"404", b"414", b"431"}
    assert "Traceback" not in server.errors()


def test_a_suspended_machine_fails_no_request(server: Any) -> None:
    """Both processes are stopped, as by a debugger, a frozen container or a closed lid: that is no stall."""
    engine, restarts = server.engine_pid(), server.metric("engine_restarts_total")
    body = {**SPEECH, "input": MANY_WORDS}
    with httpx.stream("POST", server.url("/v1/audio/speech"), json=body, timeout=60) as speaking:
        pieces = speaking.iter_bytes()
        next(pieces)
        for pid in (engine, server.process.pid):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)  # longer than --max-step-seconds; two stopped processes give no event to await
        os.kill(server.process.pid, signal.SIGCONT)
        time.sleep(0.2)  # its check comes first, eight seconds after the last step
        os.kill(engine, signal.SIGCONT)
        assert sum(map(len, pieces))
    assert (server.metric("engine_restarts_total"), server.engine_pid()) == (restarts, engine)


def test_a_stopped_engine_is_killed_and_another_one_speaks(server: Any, wait_for: Any) -> None:
    engine, restarts = server.engine_pid(), server.metric("engine_restarts_total")
    body = {**SPEECH, "input": MANY_WORDS}
    with httpx.stream("POST", server.url("/v1/audio/speech"), json=body, timeout=60) as speaking:
        pieces = speaking.iter_bytes()
        next(pieces)
        os.kill(engine, signal.SIGSTOP)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in pieces:
                pass
    wait_for(lambda: server.metric("engine_restarts_total"), lambda count: count == restarts + 1)
    wait_for(Path(f"/proc/{engine}").exists, lambda exists: not exists)
    server.wait_for_ready()
    assert server.engine_pid() != engine
    assert "the engine has taken no step for" in server.errors()


def test_an_engine_stopped_before_the_first_byte_is_a_500(server: Any) -> None:
    os.kill(server.engine_pid(), signal.SIGSTOP)
    answer = server.http.post(server.url("/v1/audio/speech"), json=SPEECH, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_error")


def test_clients_that_leave_early_do_not_hide_a_stopped_engine(server: Any, wait_for: Any) -> None:
    """Each client leaves before a step is overdue; the engine processes neither its request nor its cancel."""
    engine, restarts = server.engine_pid(), server.metric("engine_restarts_total")
    os.kill(engine, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while server.metric("engine_restarts_total") == restarts:
        assert time.monotonic() < deadline
        with suppress(httpx.TimeoutException):
            server.http.post(server.url("/v1/audio/speech"), json=SPEECH, timeout=1)
    wait_for(Path(f"/proc/{engine}").exists, lambda exists: not exists)


def test_an_engine_without_memory_fails_requests_and_continues_or_is_restarted(
    tiny: Path, start_server: Any, tmp_path: Path
) -> None:
    """The kernel denies the engine every further page (RLIMIT_DATA)."""
    with start_server(tmp_path, tiny, "--max-engine-restarts", "20") as server:  # each request may cost one
        server.wait_for_ready()
        before = spoken(server)
        with no_more_memory(server.engine_pid()), ThreadPoolExecutor(AT_ONCE) as callers:
            answers = list(callers.map(partial(status_of_speech, server), range(AT_ONCE)))
        assert set(answers) <= {0, 200, 500, 503}
        assert set(answers) != {200} or "out of memory with" in server.errors(), "the engine needed more memory"
        server.wait_for_ready()
        server.wait_for_idle()
        assert spoken(server) == before


@contextmanager
def no_more_memory(engine: int) -> Iterator[None]:
    limits = resource.prlimit(engine, resource.RLIMIT_DATA)
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{engine}/status").read_text().splitlines())
    resource.prlimit(engine, resource.RLIMIT_DATA, (1024 * int(fields["VmData"].split()[0]), limits[1]))
    yield
    with suppress(ProcessLookupError):
        resource.prlimit(engine, resource.RLIMIT_DATA, limits)


def status_of_speech(server: Any, number: int) -> int:
    """Return the status of a long speech; 0 when it was broken off."""
    body = {**SPEECH, "input": MANY_WORDS, "seed": number}
    try:
        return httpx.post(server.url("/v1/audio/speech"), json=body, timeout=120).status_code
    except httpx.RemoteProtocolError:
        return 0


def recording(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(44100)
        tone = 8000 * np.sin(np.arange(int(seconds * 44100)) * 0.05)
        wav.writeframes(tone.astype("<i2").tobytes())
    return file.getvalue()


def upload(server: Any, name: str) -> httpx.Response:
    form = {"name": name, "consent": "I, the speaker, agree.", "transcript": "What the recording says."}
    files = {"audio_sample": ("voice.wav", recording(29), "audio/wav")}
    url = server.url("/v1/audio/voices")
    answer: httpx.Response = server.http.post(url, data=form, files=files, timeout=60)
    return answer


def test_a_full_disk_is_an_error_and_leaves_no_incomplete_voice(server: Any) -> None:
    folder = Path(server.stderr).parent / "voices"
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (server.stderr.stat().st_size + 40_000, limits[1]))
    try:
        refused = upload(server, "too big for the disk")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert refused.status_code >= 500, refused.text
    assert refused.json()["error"]["message"]
    assert not [path for path in folder.rglob("*") if path.is_file()]
    kept = upload(server, "small enough now")
    assert kept.status_code in {200, 201}, kept.text
    assert server.http.delete(server.url(f"/v1/audio/voices/{kept.json()['id']}")).status_code in {200, 204}


def test_a_checkpoint_truncated_while_it_is_read_is_named_or_ends_the_server(
    start_server: Any, tiny: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cut"
    shutil.copytree(tiny, copy)
    weights = copy / "model.safetensors"
    size = weights.stat().st_size
    with start_server(tmp_path / "server", copy, "--max-engine-restarts", "1") as cut:
        deadline = time.monotonic() + 60
        while cut.load()["state"] == "silent":
            assert time.monotonic() < deadline
        os.truncate(weights, size // 3)
        state = cut.wait_for_load("ready", "failed", "silent")["state"]
        if state != "ready":  # else it was read before it was truncated
            assert cut.process.wait(120) in {3, 4}
            assert cut.termination_log.read_text().strip()


def test_an_engine_killed_while_it_loads_is_restarted(
    start_server: Any, tiny: Path, tmp_path: Path, wait_for: Any
) -> None:
    with start_server(tmp_path / "server", tiny) as early:
        wait_for(early.load, lambda load: load["state"] != "silent")
        os.kill(early.engine_pid(), signal.SIGKILL)
        wait_for(lambda: early.metric("engine_restarts_total"), lambda restarts: restarts == 1)
        assert early.get("/health/live").status_code == 200
        early.wait_for_ready()
        assert spoken(early)


def test_slow_loading_is_no_stall(start_server: Any, tiny: Path, tmp_path: Path, wait_for: Any) -> None:
    with start_server(tmp_path / "server", tiny, "--max-step-seconds", "2") as slow:
        wait_for(slow.load, lambda load: load["state"] != "silent")
        engine = slow.engine_pid()
        os.kill(engine, signal.SIGSTOP)
        assert slow.load()["state"] == "loading"
        stopped_until = time.monotonic() + 5  # longer than --max-step-seconds
        while time.monotonic() < stopped_until:
            assert slow.get("/health/live").status_code == 200
            time.sleep(0.1)
        os.kill(engine, signal.SIGCONT)
        slow.wait_for_ready()
        assert (slow.engine_pid(), slow.metric("engine_restarts_total")) == (engine, 0)
