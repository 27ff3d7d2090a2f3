"""What breaks around the real server, and what must not break with it."""

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
    flags += ("--max-engine-restarts", "20")  # of all these tests together
    with start_server(folder, tiny, *flags) as running:
        running.wait_for_ready()
        yield running


@pytest.fixture(autouse=True)
def _as_before(server: Any, wait_for: Any) -> Iterator[None]:
    """Whatever happened: afterwards nothing is left open, and the same seed gives the same bytes."""
    before, files = said(server), server.open_files()
    yield
    server.wait_for_ready()
    server.wait_for_idle()
    assert said(server) == before
    wait_for(server.open_files, lambda count: count <= files + 3)


def said(server: Any) -> bytes:
    return bytes(server.http.post(server.url("/v1/audio/speech"), json={**SPEECH, "seed": 7}, timeout=60).content)


def request_bytes(**changes: Any) -> bytes:
    body = json.dumps({**SPEECH, **changes}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connection_to(server: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.ports[0]), timeout=60)


STAGES = ["connected", "in a header", "after the headers", "in the body", "asked", "first audio", "more audio"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("is_rude", [True, False], ids=["reset", "closed"])
def test_a_client_may_leave_at_any_stage(server: Any, stage: str, is_rude: bool) -> None:  # noqa: FBT001
    request = request_bytes(input=MANY_WORDS)
    headers = request.index(b"\r\n\r\n") + 4
    sent = {"connected": 0, "in a header": 30, "after the headers": headers, "in the body": headers + 100}
    reads = {"first audio": 1000, "more audio": 200_000}
    with connection_to(server) as leaving:
        leaving.sendall(request[: sent.get(stage, len(request))])
        received = 0
        while received < reads.get(stage, 0):
            received += len(leaving.recv(65536))
        if is_rude:
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


def test_who_trickles_headers_keeps_nobody_from_speaking(server: Any) -> None:
    trickling = [connection_to(server) for _ in range(100)]
    for number, each in enumerate(trickling):
        each.sendall(request_bytes()[: 10 + number])
    assert said(server)
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
def test_what_is_no_http_gets_400_or_the_door(server: Any, noise: bytes) -> None:
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


def test_a_machine_that_stood_still_loses_nobody(server: Any) -> None:
    """Both processes were stopped, as by a debugger, a frozen container or a closed lid: the engine did not hang."""
    engine, restarts = server.engine_pid(), server.metric("engine_restarts_total")
    body = {**SPEECH, "input": MANY_WORDS}
    with httpx.stream("POST", server.url("/v1/audio/speech"), json=body, timeout=60) as speaking:
        pieces = speaking.iter_bytes()
        next(pieces)
        for pid in (engine, server.process.pid):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)  # more than one step may take
        os.kill(server.process.pid, signal.SIGCONT)
        time.sleep(0.2)  # it looks first, and sees nothing done for eight seconds
        os.kill(engine, signal.SIGCONT)
        assert sum(map(len, pieces))
    assert (server.metric("engine_restarts_total"), server.engine_pid()) == (restarts, engine)


def test_an_engine_that_stands_still_is_ended_and_another_one_speaks(server: Any, wait_for: Any) -> None:
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


def test_an_engine_that_stands_still_before_the_first_byte_is_an_error_that_says_so(server: Any) -> None:
    os.kill(server.engine_pid(), signal.SIGSTOP)
    answer = server.http.post(server.url("/v1/audio/speech"), json=SPEECH, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_error")


def test_impatient_clients_do_not_hide_that_an_engine_stands_still(server: Any, wait_for: Any) -> None:
    """Each of them leaves before a step is overdue; the engine never answers any, nor their leaving."""
    engine, restarts = server.engine_pid(), server.metric("engine_restarts_total")
    os.kill(engine, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while server.metric("engine_restarts_total") == restarts:
        assert time.monotonic() < deadline
        with suppress(httpx.TimeoutException):
            server.http.post(server.url("/v1/audio/speech"), json=SPEECH, timeout=1)
    wait_for(Path(f"/proc/{engine}").exists, lambda exists: not exists)


def test_an_engine_without_memory_ends_what_it_cannot_do_and_lives_on_or_again(
    tiny: Path, start_server: Any, tmp_path: Path
) -> None:
    """A real lack of memory: what the engine wants to write to beyond what it has is refused."""
    with start_server(tmp_path, tiny, "--max-engine-restarts", "20") as server:  # each caller may cost one
        server.wait_for_ready()
        before = said(server)
        with no_more_memory(server.engine_pid()), ThreadPoolExecutor(AT_ONCE) as callers:
            answers = list(callers.map(partial(status_of_speech, server), range(AT_ONCE)))
        assert set(answers) <= {0, 200, 500, 503}
        assert set(answers) != {200} or "out of memory with" in server.errors(), "it did want more memory"
        server.wait_for_ready()
        server.wait_for_idle()
        assert said(server) == before


@contextmanager
def no_more_memory(engine: int) -> Iterator[None]:
    limits = resource.prlimit(engine, resource.RLIMIT_DATA)
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{engine}/status").read_text().splitlines())
    resource.prlimit(engine, resource.RLIMIT_DATA, (1024 * int(fields["VmData"].split()[0]), limits[1]))
    yield
    with suppress(ProcessLookupError):
        resource.prlimit(engine, resource.RLIMIT_DATA, limits)


def status_of_speech(server: Any, number: int) -> int:
    """0: broken off."""
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


def test_a_full_disk_is_said_and_leaves_no_half_a_voice(server: Any) -> None:
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


def test_a_checkpoint_cut_while_it_is_read_is_named_or_ends_the_server(
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
        if state != "ready":  # it was read before it was cut
            assert cut.process.wait(120) in {3, 4}
            assert cut.termination_log.read_text().strip()


def test_an_engine_killed_while_it_loads_is_started_again(
    start_server: Any, tiny: Path, tmp_path: Path, wait_for: Any
) -> None:
    with start_server(tmp_path / "server", tiny) as early:
        wait_for(early.load, lambda load: load["state"] != "silent")
        os.kill(early.engine_pid(), signal.SIGKILL)
        wait_for(lambda: early.metric("engine_restarts_total"), lambda restarts: restarts == 1)
        assert early.get("/health/live").status_code == 200
        early.wait_for_ready()
        assert said(early)


def test_an_engine_that_takes_its_time_to_load_is_left_alone(
    start_server: Any, tiny: Path, tmp_path: Path, wait_for: Any
) -> None:
    with start_server(tmp_path / "server", tiny, "--max-step-seconds", "2") as slow:
        wait_for(slow.load, lambda load: load["state"] != "silent")
        engine = slow.engine_pid()
        os.kill(engine, signal.SIGSTOP)
        assert slow.load()["state"] == "loading"
        time.sleep(5)  # more than one step may take
        assert slow.get("/health/live").status_code == 200
        os.kill(engine, signal.SIGCONT)
        slow.wait_for_ready()
        assert (slow.engine_pid(), slow.metric("engine_restarts_total")) == (engine, 0)
