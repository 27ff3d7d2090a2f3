"""Says a logged request again, as the server said it: the same code, in the same formats, to the same bytes.

Knows: the log's lines, and which of the server's settings decide bits. A server without port does the work.
Does not know: how speech is made.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from voxfleet_inference.audio.encoding import make_encoder, with_exact_wav_length
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.client import EngineClient, EngineError
from voxfleet_inference.engine.process import start_engine_process
from voxfleet_inference.errors import ApiError
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.engine_supervisor import Failure
from voxfleet_inference.server.serve import engine_settings
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio

_LOOK_AGAIN_SECONDS: Final = 0.02
_MOST_THAT_ANYBODY_TYPES: Final = 1_000_000
_STOP_SECONDS: Final = 5.0


class RepeatError(Exception):
    """The request cannot be said again; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Which request, and what of it the log does not tell."""

    log_file: Path
    request_id: str
    model_path: Path
    output: Path
    text: str = ""
    reference_audio: Path | None = None
    reference_text: str = ""
    voices_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was written, and in how many attempts each sentence was said."""

    response_format: str
    bytes_written: int
    attempts: tuple[int, ...]


def repeat(work: Repeat) -> Repeated:
    """Say it again and write what the client was sent.

    Raises:
        RepeatError: the line, the text, the recording, the voice or the checkpoint is missing or another one.
    """
    configure_logging("error")
    line = _line(work)
    request, settings = _request(work, line), _settings(work, line)
    process, connection = start_engine_process(engine_settings(settings))
    try:
        audio, attempts = asyncio.run(_spoken(settings, request, tuple(line["attempts"]), connection))
    except (ApiError, EngineError) as error:
        raise RepeatError(str(error)) from error
    finally:
        connection.close()
        process.kill()
        process.wait(_STOP_SECONDS)
    try:
        work.output.write_bytes(audio)
    except OSError as error:
        raise RepeatError(f"cannot write {work.output}: {error.strerror}") from error
    return Repeated(request.response_format, len(audio), attempts)


def _line(work: Repeat) -> dict[str, Any]:
    found = [line for line in _speech_lines(work.log_file) if line.get("request_id") == work.request_id]
    if not found:
        raise RepeatError(f"{work.log_file} has no line of a speech request with the id '{work.request_id}'")
    line = found[-1]
    if line.get("outcome") != "complete" or "input_characters" not in line:
        raise RepeatError(f"the request '{work.request_id}' was not spoken to its end over HTTP, so nothing tells how")
    return line


def _speech_lines(log_file: Path) -> Iterator[dict[str, Any]]:
    """The lines about speech; a log may hold other lines, and lines of other programs."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RepeatError(f"--from-log {log_file}: {error.strerror}") from error
    for line in lines:
        try:
            fields = json.loads(line[line.find("{") :])  # before it, a container's log may have a time
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("event") == "speech":
            yield fields


def _request(work: Repeat, line: dict[str, Any]) -> SpeechRequest:
    text = work.text or line.get("input") or ""
    if len(text) != line["input_characters"]:
        given = f"--text has {len(text)}" if text else "the log does not hold it (--log-text): give it with --text"
        raise RepeatError(f"the text had {line['input_characters']} characters; {given}")
    fields = {**line["request"], "input": text, **_reference(work, line)}
    try:
        return SpeechRequest.model_validate(fields)
    except ValidationError as error:
        raise RepeatError(f"the line of '{work.request_id}' is not of this version: {error}") from error


def _reference(work: Repeat, line: dict[str, Any]) -> dict[str, str]:
    expected = line.get("reference_audio_sha256")
    if expected is None:
        return {}
    transcript = work.reference_text or line.get("reference_text") or ""
    if work.reference_audio is None or not transcript:
        raise RepeatError("the request brought a recording: give it with --reference-audio and --reference-text")
    try:
        recording = work.reference_audio.read_bytes()
    except OSError as error:
        raise RepeatError(f"--reference-audio {work.reference_audio}: {error.strerror}") from error
    found = hashlib.sha256(recording).hexdigest()
    if found != expected:
        raise RepeatError(f"--reference-audio {work.reference_audio} is another recording: {found}, not {expected}")
    return {"reference_audio": base64.b64encode(recording).decode(), "reference_text": transcript}


def _settings(work: Repeat, line: dict[str, Any]) -> ServeSettings:
    fixed = {
        "model_path": work.model_path,
        "model_name": line["request"]["model"],
        "voices_dir": work.voices_dir,
        "max_input_characters": _MOST_THAT_ANYBODY_TYPES,
    }
    known = {name: value for name, value in line["settings"].items() if name in ServeSettings.model_fields}
    return ServeSettings.model_validate({**known, **fixed})


async def _spoken(
    settings: ServeSettings, request: SpeechRequest, attempts: tuple[int, ...], connection: Connection
) -> tuple[bytes, tuple[int, ...]]:
    failures: list[Failure] = []
    service = SpeechService(settings, failures.append)
    client = EngineClient(connection, service.observe)
    service.attach(client)
    client.start()
    while not service.lifecycle.is_ready:
        if failures:
            raise RepeatError(failures[0].message)
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    try:
        return await _audio(service, request, attempts)
    finally:
        client.close()


async def _audio(
    service: SpeechService, request: SpeechRequest, attempts: tuple[int, ...]
) -> tuple[bytes, tuple[int, ...]]:
    model_info, audio_format = service.loaded_model_info, FORMATS[request.response_format]
    rate = audio_format.rate_for(request.sample_rate, model_info.sample_rate)
    speech = replace(await service.prepare(request), attempts=attempts)
    encoder, tempo = (
        make_encoder(audio_format, model_info.sample_rate, rate),
        Tempo(request.speed, model_info.sample_rate),
    )
    chunks: list[bytes] = []
    said: list[int] = []
    async with aclosing(service.speak(speech, service.request_opened(0.0))) as events:
        async for event in events:
            if isinstance(event, SentenceEnded):
                said.append(event.attempts)
            if isinstance(event, SpeechAudio):
                chunks.append(encoder.encode(tempo.convert(event.samples)))
    chunks.append(encoder.encode(tempo.finish()) + encoder.finish())
    audio = b"".join(chunks)
    is_whole_wav = audio_format.name == "wav" and not request.stream
    return with_exact_wav_length(audio, rate) if is_whole_wav else audio, tuple(said)
