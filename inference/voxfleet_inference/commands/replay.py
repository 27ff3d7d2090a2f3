"""Replays a logged request with the server's own code, in the same format, to the same bytes.

Knows: the log's lines, and which of the server's settings affect the audio. A server without a port does the work.
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

from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import EngineError
from voxfleet_inference.engine.process import start_engine_process
from voxfleet_inference.errors import ApiError
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.engine_supervisor import Failure
from voxfleet_inference.server.serve import engine_settings
from voxfleet_inference.server.service import SpeechService, make_service
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio

_READY_POLL_SECONDS: Final = 0.02
# The largest `max_input_characters` that ServeSettings takes: the log does not hold the server's own limit, and a
# request that was spoken was within it.
_MAX_INPUT_CHARACTERS: Final = 1_000_000
_STOP_SECONDS: Final = 5.0


class ReplayError(Exception):
    """The request cannot be replayed; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Which request to replay, and the parts of it that the log does not hold."""

    log_file: Path
    request_id: str
    model_path: Path
    output: Path
    text: str = ""
    reference_audio: Path | None = None
    reference_text: str = ""
    voices_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What was written, and how many attempts each sentence took."""

    response_format: str
    bytes_written: int
    attempts: tuple[int, ...]


def replay(options: ReplayOptions) -> ReplayResult:
    """Speak the request again and write the bytes that its client received.

    Raises:
        ReplayError: the line, the text, the recording, the voice or the checkpoint is missing or a different one.
    """
    configure_logging("error")  # the server's info lines would mix with the output of the command
    line = _find_line(options)
    request, settings = _request(options, line), _settings(options, line)
    process, connection = start_engine_process(engine_settings(settings))
    try:
        audio, attempts = asyncio.run(_speak(settings, request, tuple(line["attempts"]), connection))
    except (ApiError, EngineError) as error:
        raise ReplayError(str(error)) from error
    finally:
        connection.close()
        process.kill()  # it holds nothing that must be drained
        process.wait(_STOP_SECONDS)
    try:
        options.output.write_bytes(audio)
    except OSError as error:
        raise ReplayError(f"cannot write {options.output}: {error.strerror}") from error
    return ReplayResult(request.response_format, len(audio), attempts)


def _find_line(options: ReplayOptions) -> dict[str, Any]:
    found = [line for line in _speech_lines(options.log_file) if line.get("request_id") == options.request_id]
    if not found:
        raise ReplayError(f"{options.log_file} has no line of a speech request with the id '{options.request_id}'")
    line = found[-1]  # clients may reuse an X-Request-Id: the newest line counts
    # A request that ended early has no attempt for each sentence, and a WebSocket session has no single input.
    if line.get("outcome") != "complete" or "input_characters" not in line:
        raise ReplayError(
            f"the request '{options.request_id}' was not spoken to its end over HTTP: its line does not hold enough"
        )
    return line


def _speech_lines(log_file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines with the event `speech`; a log may hold other lines, and lines of other programs."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ReplayError(f"--from-log {log_file}: {error.strerror}") from error
    for line in lines:
        try:
            fields = json.loads(line[line.find("{") :])  # container runtimes write a time before it
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("event") == "speech":
            yield fields


def _request(options: ReplayOptions, line: dict[str, Any]) -> SpeechRequest:
    text = options.text or line.get("input") or ""
    if len(text) != line["input_characters"]:
        given = f"--text has {len(text)}" if text else "the log does not hold it (--log-text): give it with --text"
        raise ReplayError(f"the text had {line['input_characters']} characters; {given}")
    fields = {**line["request"], "input": text, **_reference(options, line)}
    try:
        return SpeechRequest.model_validate(fields)
    except ValidationError as error:
        raise ReplayError(f"the line of '{options.request_id}' is of another version: {error}") from error


def _reference(options: ReplayOptions, line: dict[str, Any]) -> dict[str, str]:
    """Return the request's recording and transcript, whose SHA-256 alone is in the log; empty if it had none."""
    expected = line.get("reference_audio_sha256")
    if expected is None:
        return {}
    transcript = options.reference_text or line.get("reference_text") or ""
    if options.reference_audio is None or not transcript:
        raise ReplayError("the request has a recording: give it with --reference-audio and --reference-text")
    try:
        recording = options.reference_audio.read_bytes()
    except OSError as error:
        raise ReplayError(f"--reference-audio {options.reference_audio}: {error.strerror}") from error
    found = hashlib.sha256(recording).hexdigest()
    if found != expected:
        raise ReplayError(f"--reference-audio {options.reference_audio} is another recording: {found}, not {expected}")
    return {"reference_audio": base64.b64encode(recording).decode(), "reference_text": transcript}


def _settings(options: ReplayOptions, line: dict[str, Any]) -> ServeSettings:
    """Return the settings in the line, under this machine's paths; those that this version lacks are skipped."""
    fixed = {
        "model_path": options.model_path,
        "model_name": line["request"]["model"],
        "voices_dir": options.voices_dir,
        "max_input_characters": _MAX_INPUT_CHARACTERS,
    }
    known = {name: value for name, value in line["settings"].items() if name in ServeSettings.model_fields}
    return ServeSettings.model_validate({**known, **fixed})


async def _speak(
    settings: ServeSettings, request: SpeechRequest, attempts: tuple[int, ...], connection: Connection
) -> tuple[bytes, tuple[int, ...]]:
    """Wait until the engine is ready; return the audio and the attempts of each sentence."""
    failures: list[Failure] = []
    service = make_service(settings, failures.append)
    client = EngineClient(connection, service.supervisor.observe)
    service.supervisor.attach(client)
    client.start()
    while not service.supervisor.lifecycle.is_ready:
        if failures:
            raise ReplayError(failures[0].message)
        await asyncio.sleep(_READY_POLL_SECONDS)
    try:
        return await _audio(service, request, attempts)
    finally:
        client.close()


async def _audio(
    service: SpeechService, request: SpeechRequest, attempts: tuple[int, ...]
) -> tuple[bytes, tuple[int, ...]]:
    model_info, audio_format = service.supervisor.model_info, FORMATS[request.response_format]
    rate = audio_format.rate_for(request.sample_rate, model_info.sample_rate)
    # The attempt is part of the noise's key: the one that counted then is the only one that gives the same bytes.
    speech = replace(await service.prepare(request), attempts=attempts)
    encoder = make_encoder(
        audio_format, model_info.sample_rate, rate, is_whole=not request.stream, stream_number=request.stream_number
    )
    tempo = Tempo(request.speed, model_info.sample_rate)
    chunks: list[bytes] = []
    attempts_made: list[int] = []
    async with aclosing(service.speak(speech, service.tracker.opened(0.0))) as events:
        async for event in events:
            if isinstance(event, SentenceEnded):
                attempts_made.append(event.attempts)
            if isinstance(event, SpeechAudio):
                chunks.append(encoder.encode(tempo.convert(event.samples)))
    chunks.append(encoder.encode(tempo.finish()) + encoder.finish())
    return b"".join(chunks), tuple(attempts_made)
