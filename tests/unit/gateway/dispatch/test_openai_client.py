"""OpenAI's own library against a sleeping region: what it names as its timeout is how long it is held."""

import asyncio
import time
from typing import Any

import openai
import pytest
from voxfleet_gateway.decisions.pods.pod_state import PodEndpoint


def client(port: int, timeout: Any, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", timeout=timeout, max_retries=retries)


async def test_it_is_held_less_than_its_timeout_and_reads_when_to_try_again(wire: Any) -> None:
    async with wire.gateway(predicted_wake_seconds=40) as (port, _), client(port, 60.0) as api:
        # The library's own header, which it leaves to its caller: a slow machine then meets no timeout of 6.5 s.
        named = {"x-stainless-read-timeout": "6.5"}
        began = time.monotonic()
        with pytest.raises(openai.InternalServerError) as caught:
            await api.audio.speech.create(model="m", voice="alloy", input="hi", extra_headers=named)
        held_seconds = time.monotonic() - began
    assert 1.5 <= held_seconds < 25, "held for 6.5 s less 5, and neither for the default's 25 s nor for its timeout"
    headers = caught.value.response.headers
    assert headers["x-should-retry"] == "true"
    assert 30 <= int(headers["retry-after"]) <= 40
    assert caught.value.code == "region_waking"


async def test_a_wake_that_ends_within_its_timeout_is_waited_for(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, gateway), client(port, 30.0) as api:
        ready = gateway.fleet.pods_behind
        gateway.fleet.pods_behind = lambda _: ()
        gateway.fleet.refresh()
        asked = asyncio.create_task(api.audio.speech.create(model="m", voice="alloy", input="hi"))
        async with asyncio.timeout(30):
            while not gateway.fleet.held(wire.key):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        (waiting,) = next(iter(gateway.hold_queues.queues.values())).order
        assert 20 < waiting.deadline_seconds - time.monotonic() <= 25, "30 s less 5"
        gateway.fleet.pods_behind = lambda service: tuple(
            PodEndpoint(each.address, is_ready=True) for each in ready(service)
        )
        gateway.fleet.refresh()
        assert (await asked).content == b"RIFFaudio"
