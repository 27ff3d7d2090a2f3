"""WebRTC with the real server: in Chromium, as over the WebSocket beside it; an interruption; SIGTERM.

The figures are benchmarks/rtc's; what is asserted here is ten times what they are, for a loaded machine.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "rtc"
LATE_MILLISECONDS = 2000


@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs Debian's chromium")
@pytest.mark.parametrize(
    ("ways", "flags"), [((0, 3, 4), ()), ((3,), ("--bare-addresses",))], ids=["hidden addresses", "bare addresses"]
)
def test_speech_plays_and_a_cancel_is_silence(
    server: Any, ways: tuple[int, ...], flags: tuple[str, ...], tmp_path: Path
) -> None:
    chosen = ["--runs", "1", "--warm-ups", "0", "--ways", *map(str, ways)]
    command = [sys.executable, str(BENCHMARK), server.url(), *chosen, *flags, "--json", str(tmp_path / "all")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + server.errors()
    results = {name: runs[0] for name, runs in json.loads((tmp_path / "all").read_text()).items()}
    assert len(results) == len(ways)
    over_socket = results.pop("WebSocket, opened at the click", None)
    for name, over_rtc in results.items():
        if over_socket is not None:
            assert over_rtc["firstSound"] < over_socket["firstSound"] + LATE_MILLISECONDS, (name, over_rtc)
        assert over_rtc["silence"] < LATE_MILLISECONDS / 2, (name, over_rtc)
        assert over_rtc["playing"].startswith("The quick brown fox"), (name, over_rtc)
    server.wait_for_idle()


async def test_sigterm_lets_a_session_end_and_closes_its_connection(server: Any) -> None:
    """Last in this module: the server ends."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel, kinds, closed = connection.createDataChannel("voxfleet"), [], asyncio.Event()
    channel.on("message", lambda text: kinds.append(json.loads(text)["type"]))
    channel.on("close", closed.set)
    connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    start = {"type": "session.start", "model": "voxcpm-1.5", "input": "Nothing is cut off.", "seed": 1}
    offer = {"sdp": connection.localDescription.sdp, "messages": [start, {"type": "text.flush"}]}
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(server.url("/v1/audio/speech/rtc"), json=offer)
    await connection.setRemoteDescription(RTCSessionDescription(answer.json()["sdp"], "answer"))
    async with asyncio.timeout(60):
        while "sentence.started" not in kinds:  # noqa: ASYNC110 - polled from outside
            await asyncio.sleep(0.02)
        server.process.terminate()
        await closed.wait()
    assert kinds == ["session.started", "sentence.started", "flushed", "session.done"]
    await connection.close()
    assert await asyncio.to_thread(server.process.wait, 60) == 0
