"""The OpenAPI document: every operation and every response."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
from jsonschema import Draft202012Validator

SPEECH = "/v1/audio/speech"


async def document_of(server: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return dict((await client.get("/openapi.json")).json())


async def test_every_operation_has_its_responses(server: Any) -> None:
    document = await document_of(server)
    operations = {(method, path): each for path, own in document["paths"].items() for method, each in own.items()}
    assert len(operations) == 21
    for (method, path), operation in operations.items():
        assert operation["summary"], path
        assert "422" not in operation["responses"], path
        errors = [answer for status, answer in operation["responses"].items() if status[0] != "2"]
        if path.startswith("/v1"):
            assert {"400", "401"} <= operation["responses"].keys(), (method, path)
            assert operation["security"] == [{}, {"apiKey": []}]
            assert all(each["content"]["application/json"]["schema"]["$ref"].endswith("/Error") for each in errors)
            phrases = {each.phrase for each in HTTPStatus}
            assert not [each for each in errors if each["description"] in phrases], "a phrase says nothing new"


async def test_speech_has_every_media_type_that_it_sends(server: Any) -> None:
    content = (await document_of(server))["paths"][SPEECH]["post"]["responses"]["200"]["content"]
    assert set(content) == {
        *(
            "audio/mpeg",
            "audio/ogg",
            "audio/aac",
            "audio/flac",
            "audio/wav",
            "audio/pcm",
            "audio/PCMU",
            "audio/PCMA",
            "text/event-stream",
        )
    }


HI = {"model": "voxcpm-1.5", "input": "hi"}
BODIES = [
    (HI, True),
    ({**HI, "voice": {"id": "default"}, "speed": 2, "seed": None}, True),
    ({**HI, "stream_format": "sse", "normalize": True, "stream": False}, True),
    ({**HI, "input": " \n"}, False),
    ({**HI, "input": "x" * 4097}, False),
    ({**HI, "voice": {"id": 3}}, False),
    ({**HI, "speed": "1.0"}, False),
    ({**HI, "sample_rate": 100}, False),
    ({**HI, "stream": "yes"}, False),
    ({"input": "hi"}, False),
]


async def test_the_schema_and_the_server_agree(server: Any) -> None:
    document = await document_of(server)
    schema = document["paths"][SPEECH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for body, is_good in BODIES:
            assert Draft202012Validator(schema).is_valid(body) == is_good, body
            answer = await client.post(SPEECH, json=body)
            assert (answer.status_code == 200) == is_good, body
            if not is_good:
                Draft202012Validator(document["components"]["schemas"]["Error"]).validate(answer.json())


PATHS = {
    "/v1": "/v1",
    "/v1/audio/models": "/v1/audio/models",
    "/v1/models": "/v1/models",
    "/v1/models/voxcpm-1.5": "/v1/models/{name}",
    "/v1/audio/speech/rtc": "/v1/audio/speech/rtc",
    "/v1/audio/voices": "/v1/audio/voices",
    "/v1/audio/voices/default": "/v1/audio/voices/{voice_id}",
    "/health/live": "/health/live",
    "/health/ready": "/health/ready",
}


async def test_responses_have_the_form_that_the_document_gives_them(server: Any) -> None:
    document = await document_of(server)
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path, documented in PATHS.items():
            answers = document["paths"][documented]["get"]["responses"]
            schema = answers["200"]["content"]["application/json"]["schema"]
            answer = await client.get(path)
            assert answer.status_code == 200, path
            whole = {"$ref": schema["$ref"], "components": document["components"]}
            Draft202012Validator(whole).validate(answer.json())


async def test_every_bound_is_a_keyword_of_json_schema(server: Any) -> None:
    fields = (await document_of(server))["paths"][SPEECH]["post"]["requestBody"]["content"]["application/json"]
    bounds = {}
    for name, field in fields["schema"]["properties"].items():
        allowed = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
        assert not {"ge", "le", "gt", "lt"} & {key for each in allowed for key in each}, name
        bounds[name] = {key: value for key, value in (allowed[0] | field).items() if key in {"minimum", "maximum"}}
    assert bounds["seed"] == {"minimum": 0, "maximum": 2**63 - 1}
    assert bounds["cfg_value"] == {"minimum": 1, "maximum": 10}
    assert bounds["inference_timesteps"] == {"minimum": 2, "maximum": 40}
    assert bounds["speed"] == {"minimum": 0.25, "maximum": 4}
