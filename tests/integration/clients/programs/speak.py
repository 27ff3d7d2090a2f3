"""Speaks with the client library that is named, as its users call it; prints what came of it as JSON.

Run by the Python of the clients' own environment: `speak.py CLIENT URL REFUSING_URL SERVER_URL`. It prints `ready` once
the library is imported, waits for a line, speaks a sentence to its end, interrupts a long text after its first audio,
asks the second gateway, whose 503 it reports by the client's own error, and speaks at a server without a gateway.
"""

import asyncio
import contextlib
import importlib
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

RATE = 24_000
SENTENCE = "Hello from a region that was asleep a moment ago."
LONG = "This text is far too long for anybody to hear to its end. " * 12
Audio = AsyncIterator[bytes]  # mono, 16 bits, 24 kHz
WORDS: list[str] = []  # those that came with a time, in order


def livekit_openai(url: str) -> Any:
    from livekit.plugins import openai

    return openai.TTS(base_url=f"{url}/v1", api_key="KEY", model="gpt-4o-mini-tts", voice="alloy")


def livekit_deepgram(url: str, session: Any) -> Any:
    from livekit.plugins import deepgram

    return deepgram.TTS(base_url=f"{url}/v1/speak", api_key="KEY", model="alloy", http_session=session)


def livekit_cartesia(url: str, session: Any) -> Any:
    from livekit.plugins import cartesia

    return cartesia.TTS(base_url=url, api_key="KEY", model="tts-1", voice="alloy", http_session=session)


async def livekit_stream(tts: Any, text: str) -> Audio:
    """A plug-in that takes text as it comes."""
    async with contextlib.aclosing(tts.stream()) as stream:
        for word in text.split():
            stream.push_text(f"{word} ")
        stream.end_input()
        async for event in stream:
            WORDS.extend(str(each).strip() for each in event.frame.userdata.get("lk.timed_transcripts", []))
            yield bytes(event.frame.data)


async def livekit_whole(tts: Any, text: str) -> Audio:
    """A plug-in that sends one request for a sentence."""
    async with contextlib.aclosing(tts.synthesize(text)) as stream:
        async for event in stream:
            yield bytes(event.frame.data)


async def livekit(url: str, client: str, text: str) -> Audio:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        match client:
            case "livekit-openai":
                audio = livekit_whole(livekit_openai(url), text)
            case "livekit-deepgram":
                audio = livekit_stream(livekit_deepgram(url, session), text)
            case "livekit-deepgram-http":
                audio = livekit_whole(livekit_deepgram(url, session), text)
            case "livekit-cartesia-http":
                audio = livekit_whole(livekit_cartesia(url, session), text)
            case _:
                audio = livekit_stream(livekit_cartesia(url, session), text)
        async with contextlib.aclosing(audio):
            async for chunk in audio:
                yield chunk


# Pipecat gives a turn up that has no audio within 3 s, whatever its connection says.
PATIENT = {"api_key": "KEY", "stop_frame_timeout_s": 120}


def pipecat_service(url: str, client: str) -> Any:
    match client:
        case "pipecat-openai":
            from pipecat.services.openai.tts import OpenAITTSService

            settings = OpenAITTSService.Settings(model="gpt-4o-mini-tts", voice="nova")
            return OpenAITTSService(**PATIENT, base_url=f"{url}/v1", settings=settings)
        case "pipecat-deepgram":
            from pipecat.services.deepgram.tts import DeepgramTTSService

            settings = DeepgramTTSService.Settings(voice="nova")
            return DeepgramTTSService(**PATIENT, base_url=url.replace("http", "ws", 1), settings=settings)
    from pipecat.services.cartesia.tts import CartesiaTTSService

    settings = CartesiaTTSService.Settings(model="tts-1", voice="nova")
    return CartesiaTTSService(**PATIENT, url=url.replace("http", "ws", 1) + "/tts/websocket", settings=settings)


async def pipecat(url: str, client: str, text: str) -> Audio:
    from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame, TTSTextFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    received: asyncio.Queue[Any] = asyncio.Queue()

    class Sink(FrameProcessor):
        async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TTSTextFrame) and client == "pipecat-cartesia":
                WORDS.append(frame.text)  # of timestamps alone: this service pushes no other text
            if isinstance(frame, TTSAudioRawFrame | TTSStoppedFrame | ErrorFrame):
                received.put_nowait(frame)
            await self.push_frame(frame, direction)

    service = pipecat_service(url, client)
    params = PipelineParams(audio_out_sample_rate=RATE)
    worker = PipelineWorker(Pipeline([Sink(), service, Sink()]), params=params, cancel_on_idle_timeout=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await worker.queue_frame(TTSSpeakFrame(text))
        while True:
            frame = await received.get()
            if isinstance(frame, ErrorFrame):
                raise RuntimeError(frame.error)  # noqa: TRY004  # an error of the service
            if isinstance(frame, TTSStoppedFrame):
                return
            yield frame.audio
    finally:
        await worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def openai_python(url: str, _client: str, text: str) -> Audio:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="KEY") as client:
        speech = client.audio.speech.with_streaming_response
        request = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"}
        async with speech.create(**request) as spoken:
            async for chunk in spoken.iter_bytes():
                yield chunk


def audio_of(client: str, url: str, text: str) -> Audio:
    library = client.partition("-")[0]
    return {"livekit": livekit, "pipecat": pipecat, "openai": openai_python}[library](url, client, text)


def import_libraries(client: str) -> None:
    """Import what the client's function will, ahead of the time that is measured."""
    library, _, service = client.removesuffix("-http").partition("-")
    names = {
        "livekit": [f"livekit.plugins.{service}"],
        "pipecat": ["pipecat.pipeline.worker", "pipecat.workers.runner", f"pipecat.services.{service}.tts"],
        "openai": ["openai"],
    }
    for name in names[library]:
        importlib.import_module(name)


def wait_for_start() -> None:
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()


async def outcome(client: str, url: str, text: str = SENTENCE, *, is_interrupted: bool = False) -> dict[str, Any]:
    began, size, first = time.monotonic(), 0, None
    loudest = 0
    WORDS.clear()
    try:
        async with contextlib.aclosing(audio_of(client, url, text)) as audio:
            async for chunk in audio:
                first = first or time.monotonic() - began
                size += len(chunk)
                samples = memoryview(chunk[: len(chunk) // 2 * 2]).cast("h")
                loudest = max(loudest, *map(abs, samples), 0)
                if is_interrupted:
                    break
    except Exception as error:  # noqa: BLE001  # the client's own, whatever it is
        text, waited = f"{error!r} {getattr(error, 'body', '')}"[:800], time.monotonic() - began
        return {"error": type(error).__name__, "text": text, "after_seconds": waited} | headers_of(error)
    return {"seconds": size / 2 / RATE, "first_seconds": first, "loudest": loudest, "words": [*WORDS]}


def headers_of(error: Exception) -> dict[str, Any]:
    """Return what the client may read of a refusal's headers."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    return {name: headers[name] for name in ("retry-after", "x-should-retry") if name in headers}


async def main(client: str, url: str, refusing_url: str, server_url: str) -> dict[str, Any]:
    return {
        "speak": await outcome(client, url),
        "interrupt": await outcome(client, url, LONG, is_interrupted=True),
        "refused": await outcome(client, refusing_url),
        "at_server": await outcome(client, server_url),
    }


if __name__ == "__main__":
    import_libraries(sys.argv[1])
    wait_for_start()
    print(json.dumps(asyncio.run(main(*sys.argv[1:5]))))  # noqa: T201
