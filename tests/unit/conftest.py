"""Requests that are refused, in every protocol that a server and a gateway speak, and the forms of their errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
import websockets

Fields = dict[str, Any]
LONG = "A text that is longer than any server here allows. " * 120

# By protocol: path, query and body of a request that can be served, but for one fault.
REQUESTS: dict[str, Callable[[str], tuple[str, Fields, Fields]]] = {
    "openai": lambda fault: (
        "/v1/audio/speech",
        {},
        {"model": "nothing" if fault == "model" else "m", "voice": "nobody" if fault == "voice" else "alloy"}
        | {"input": {"empty": " ", "long": LONG}.get(fault, "Hello.")}
        | {"response_format": "vorbis" if fault == "encoding" else "pcm"}
        | ({"sample_rate": 7} if fault == "sample_rate" else {}),
    ),
    "deepgram": lambda fault: (
        "/v1/speak/",
        {"model": {"model": "nothing", "voice": "nobody"}.get(fault, "alloy")}
        | {"encoding": "vorbis" if fault == "encoding" else "linear16"}
        | ({"sample_rate": "7"} if fault == "sample_rate" else {}),
        {"text": {"empty": " ", "long": LONG}.get(fault, "Hello.")},
    ),
    "cartesia": lambda fault: ("/tts/bytes", {}, cartesia(fault)),
}
FORMS: dict[str, tuple[set[str], str]] = {  # the keys of an error's body, and a header of the response
    "openai": ({"error"}, "x-request-id"),
    "deepgram": ({"err_code", "err_msg", "request_id"}, "dg-request-id"),
    "cartesia": ({"error_code", "title", "message", "request_id"}, "x-request-id"),
}


def cartesia(fault: str) -> Fields:
    output = {"container": "raw", "encoding": "vorbis" if fault == "encoding" else "pcm_s16le", "sample_rate": 24_000}
    return {
        "model_id": "nothing" if fault == "model" else "m",
        "voice": {"mode": "id", "id": "nobody" if fault in {"voice", "model"} else "alloy"},
        "output_format": output | ({"sample_rate": 7} if fault == "sample_rate" else {}),
        "transcript": {"empty": " ", "long": LONG}.get(fault, "Hello."),
    }


def start(fault: str, kind: str) -> Fields:
    _, _, fields = REQUESTS["openai"](fault)
    return {"type": kind, **{name: value for name, value in fields.items() if name != "input"}}


# By protocol: path, query and messages of a session with one fault.
SESSIONS: dict[str, Callable[[str], tuple[str, Fields, list[Fields]]]] = {
    "own": lambda fault: (
        "/v1/audio/speech/stream",
        {},
        [start(fault, "session.start"), {"type": "text.append", "text": LONG if fault == "long" else "Hello."}],
    ),
    "vllm_omni": lambda fault: (
        "/v1/audio/speech/stream",
        {},
        [
            start(fault, "session.config"),
            {"type": "input.text", "text": LONG if fault == "long" else "Hello."},
            {"type": "input.done"},
        ],
    ),
    "deepgram": lambda fault: (
        *REQUESTS["deepgram"](fault)[:2],
        [{"type": "Speak", "text": LONG if fault == "long" else "Hello."}],
    ),
    "cartesia": lambda fault: (
        "/tts/websocket",
        {},
        [{"context_id": "c", **cartesia(fault), "continue": False, "max_buffer_delay_ms": 0}],
    ),
}
FRAMES: dict[str, tuple[str, set[str]]] = {  # the type of an error's frame, and keys that it has
    "own": ("error", {"error"}),
    "vllm_omni": ("error", {"message"}),
    "deepgram": ("Error", {"code", "description"}),
    "cartesia": ("error", {"context_id", "error", "error_code", "title", "status_code", "done"}),
}


class Refused:
    """Sends requests with a fault, and asserts that what comes back is an error in the protocol's form."""

    requests, sessions = (*REQUESTS,), (*SESSIONS,)
    faults = ("voice", "model", "encoding", "sample_rate", "empty", "long")

    @classmethod
    def session_faults(cls, protocol: str) -> list[str]:
        """Return what can be wrong in a session: an empty text is none, and vLLM-Omni's config has no rate."""
        return [fault for fault in cls.faults if fault != "empty" and (protocol, fault) != ("vllm_omni", "sample_rate")]

    @classmethod
    async def request(cls, base: str, protocol: str, fault: str = "", **headers: str) -> httpx.Response:
        """Return the response to a request, which has the form of an error."""
        path, query, body = REQUESTS[protocol](fault)
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.post(base + path, params=query, json=body, headers=headers)
        cls.check(protocol, response.status_code, response.headers, response.content)
        return response

    @staticmethod
    def check(protocol: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        body, (keys, id_header) = json.loads(content), FORMS[protocol]
        assert status >= 400, body
        assert set(body) == keys, (protocol, body)
        assert headers["content-type"].startswith("application/json")
        if protocol == "openai":
            assert set(body["error"]) == {"message", "type", "param", "code"}
            return
        assert body.get("err_msg") or body.get("message")
        assert body.get("err_code") or body.get("error_code")
        assert body["request_id"] == headers.get(id_header, body["request_id"]) != ""

    @classmethod
    async def session(cls, base: str, protocol: str, fault: str = "", **headers: str) -> Any:
        """Return the error of a session: its frame, or the status of a handshake that was refused."""
        path, query, messages = SESSIONS[protocol](fault)
        url = str(httpx.URL(base.replace("http", "ws") + path, params=query))
        connecting = websockets.connect(url, additional_headers=headers, max_size=None)
        try:
            async with connecting as socket:
                with contextlib.suppress(websockets.ConnectionClosed):  # after its error, which is still to be read
                    for message in messages:
                        await socket.send(json.dumps(message))
                return await cls.error_frame(socket, protocol)
        except websockets.InvalidStatus as error:
            response = error.response
            form = {"own": "openai", "vllm_omni": "openai"}.get(protocol, protocol)
            cls.check(form, response.status_code, response.headers, bytes(response.body or b""))
            return response.status_code

    @staticmethod
    async def error_frame(socket: Any, protocol: str) -> Fields:
        kind, keys = FRAMES[protocol]
        async with asyncio.timeout(60):
            while True:
                frame = await socket.recv()
                fields: Fields = json.loads(frame) if isinstance(frame, str) else {}
                # A session that has begun goes on after a wrong message, of which Deepgram's clients are warned.
                if fields.get("type") in {kind, "Warning"}:
                    assert keys <= set(fields), (protocol, fields)
                    return fields


@pytest.fixture
def refused() -> type[Refused]:
    return Refused
