from __future__ import annotations

import asyncio
from typing import Any

import pytest
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import (
    EngineError,
)
from voxfleet_inference.engine.messages import (
    Loaded,
    LoadFailed,
    Sentence,
)
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError


def sentence(text: str, **more: Any) -> Sentence:
    return Sentence(sequence_id=0, text=text, seed=1, **more)


async def test_loaded_is_the_first_report_and_carries_the_seconds(pipe: Any) -> None:
    loaded = await pipe.first_report()
    assert isinstance(loaded, Loaded)
    assert loaded.sample_rate == 44100
    assert loaded.loaded_seconds > 0


async def test_wrong_weights_are_reported_and_the_exit_code_is_three(start_engine_thread: Any, open_pipe: Any) -> None:
    def refuse(_: EngineSettings) -> Any:
        raise WrongWeightsError("model.safetensors: tensor stop_head.weight has shape [2, 3]")

    opened = open_pipe(start_engine_thread(refuse))
    report = await opened.first_report()
    assert isinstance(report, LoadFailed)
    assert report.message == "model.safetensors: tensor stop_head.weight has shape [2, 3]"
    await opened.end()
    assert opened.engine.exit_codes == [3]


async def test_a_command_that_cannot_be_unpickled_stops_the_engine(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any, open_pipe: Any
) -> None:
    opened = open_pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
    await opened.first_report()
    tone_model.step_seconds = 0.01
    stream = opened.client.speak(sentence("x" * 10_000), 100_000)
    await anext(stream)
    opened.engine.connection.send_bytes(b"no command at all")
    await opened.engine.join()
    with pytest.raises(EngineError, match="the engine process has ended"):
        async for _ in stream:
            pass


def test_an_engine_whose_client_lost_its_event_loop_stops(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any
) -> None:
    """Otherwise its reports would fill the pipe, and it would block in the middle of one for ever."""
    engine = start_engine_thread(lambda _: (tone_model, tone_loaded))

    async def speak() -> None:
        client = EngineClient(engine.connection, lambda _: None)
        client.start()
        await anext(client.speak(sentence("x" * 20_000), 100_000))

    asyncio.run(speak())  # which closes the event loop
    asyncio.run(engine.join())
