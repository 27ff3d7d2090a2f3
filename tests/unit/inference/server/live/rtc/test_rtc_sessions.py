"""Sessions over WebRTC, with a real client on real sockets: what is spoken, and when which message comes."""

from __future__ import annotations

import re
from typing import Any

import httpx
import numpy as np
import pytest

PATCH_SECONDS = 7056 / 44100


async def test_text_of_the_offer_is_spoken_and_the_session_ends(server: Any, connect_rtc: Any, wait_until: Any) -> None:
    async with connect_rtc(server.url) as client:
        response = await client.offer({"input": "The first one.", "seed": 3})
        assert response.status_code == 201, response.text
        started = await client.receive("session.started")
        assert started["session_id"] == response.json()["session_id"]
        assert (started["seed"], started["response_format"], started["sample_rate"]) == (3, "opus", 48000)
        client.send("session.end")
        sentence = await client.receive("sentence.started")
        assert (sentence["text"], sentence["at_seconds"]) == ("The first one.", 0)
        done = await client.receive("session.done")
        assert done["usage"]["output_tokens"] == 14
        assert sentence["media_seconds"] == 0
        loud = client.loud_seconds
    assert abs(loud - 14 * PATCH_SECONDS) < 0.1
    tone = np.concatenate([samples for _, samples in client.frames[20:60]])
    assert abs(np.argmax(np.abs(np.fft.rfft(tone))) * 48000 / len(tone) - 440) < 2
    await wait_until(lambda: server.load.open_requests == 0)
    await wait_until(lambda: server.metrics.registry.get_sample_value("voxfleet_inference_rtc_sessions") == 0)


async def test_a_sentence_after_silence_starts_where_its_message_says(server: Any, connect_rtc: Any) -> None:
    async with connect_rtc(server.url) as client:
        await client.offer({"input": "One. ", "seed": 1})
        first = await client.receive("sentence.started")
        first_end = round(4 * PATCH_SECONDS, 2)
        await client.until(lambda: len(client.frames) > 60)  # the sentence, and silence after it
        client.send("text.append", text="Two.")
        client.send("text.flush")
        second = await client.receive("sentence.started", 2)
        at = round(second["media_seconds"] * 48000)
        await client.until(lambda: client.frames[-1][0] > at + 4800)
    loud = {stamp: np.abs(samples).max() for stamp, samples in client.frames}
    assert second["media_seconds"] > first_end
    assert first_end < second["at_seconds"] < first_end + 0.6  # with the pause between sentences
    assert loud[at - 1920] < 0.01
    assert loud[at + 960] > 0.3
    assert (second["rtp_timestamp"] - first["rtp_timestamp"]) % 2**32 == at


async def test_a_cancel_is_silence_with_the_next_frame(server: Any, connect_rtc: Any) -> None:
    async with connect_rtc(server.url) as client:
        await client.offer({"input": "x" * 100 + ". And more of it.", "seed": 1})
        await client.receive("sentence.started")
        await client.until(lambda: client.loud_seconds > 0.5)
        client.send("cancel")
        cancelled = await client.receive("cancelled")
        heard = len(client.frames)
        client.send("text.append", text="Again.")
        client.send("text.flush")
        again = await client.receive("sentence.started", 2)
        await client.until(lambda: client.frames[-1][0] > again["media_seconds"] * 48000 + 4800)
    between = [
        np.abs(samples).max()
        for stamp, samples in client.frames
        if (cancelled["at_seconds"] + 0.06) * 48000 < stamp < again["media_seconds"] * 48000
    ]
    assert heard < 100
    assert max(between, default=0) < 0.01
    assert again["text"] == "Again."
    assert again["at_seconds"] == cancelled["at_seconds"]


async def test_a_deleted_session_is_gone(server: Any, connect_rtc: Any, wait_until: Any) -> None:
    async with connect_rtc(server.url) as client, httpx.AsyncClient(base_url=server.url) as http:
        await client.offer({"input": "x" * 200 + " and more.", "seed": 1})
        await client.receive("sentence.started")
        assert (await http.delete(client.location)).status_code == 204
        await wait_until(lambda: server.load.open_requests == 0)
        assert (await http.delete(client.location)).status_code == 204, "it ended lately: by its connection, perhaps"
        assert (await http.delete(client.location[:-1])).status_code == 404


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
async def test_the_client_begins_dtls_unless_it_cannot(
    server: Any, connect_rtc: Any, wait_until: Any, offered: str, answered: str
) -> None:
    async with connect_rtc(server.url) as client, httpx.AsyncClient(base_url=server.url) as http:
        client.connection.addTransceiver("audio", direction="recvonly")
        sdp = (await client.connection.createOffer()).sdp.replace("a=setup:actpass", f"a=setup:{offered}")
        answer = await http.post("/v1/audio/speech/rtc", json={"sdp": sdp})
        assert set(re.findall("a=setup:(.*)\r", answer.json()["sdp"])) == {answered}
        assert (await http.delete(answer.headers["location"])).status_code == 204
    await wait_until(lambda: server.load.open_requests == 0)
