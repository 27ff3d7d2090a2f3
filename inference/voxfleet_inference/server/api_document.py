"""/openapi.json: each operation's responses with their media types, and the form of errors.

Knows: the table of responses. FastAPI generates paths, parameters and bodies; the responses that it would generate
(422) are never sent.
Does not know: how requests are handled. OpenAPI cannot describe a WebSocket; docs/speech-api.md does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.settings import ServeSettings

_Schema = dict[str, Any]
_NULLABLE: Final[_Schema] = {"type": ["string", "null"]}
_STRING: Final[_Schema] = {"type": "string"}
_INTEGER: Final[_Schema] = {"type": "integer"}


def _object(required: Mapping[str, _Schema], **optional: _Schema) -> _Schema:
    return {"type": "object", "required": [*required], "properties": {**required, **optional}}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_MODEL: Final = {
    "id": _STRING, "object": {"const": "model"}, "created": _INTEGER, "owned_by": _STRING, "root": _STRING
}  # fmt: skip
_NAMED_VOICE: Final = {"id": _STRING, "name": _STRING}
_VOICE: Final = {"id": _STRING, "object": {"const": "audio.voice"}, "created_at": _INTEGER, "name": _STRING}
_CONSENT: Final = {
    "id": _STRING, "object": {"const": "audio.voice_consent"}, "created_at": _INTEGER, "name": _STRING,
    "language": _STRING,
}  # fmt: skip
_SCHEMAS: Final[Mapping[str, _Schema]] = {
    "Error": _object({"error": _object({"message": _STRING, "type": _STRING, "param": _NULLABLE, "code": _NULLABLE})}),
    "Model": _object(
        _MODEL,
        languages={"type": "array", "items": _STRING},
        voices={"type": "array", "items": _object({**_NAMED_VOICE, "language": _STRING})},
    ),
    "AudioModels": _object({"models": {"type": "array", "items": _object({"id": _STRING})}}),
    "Api": _object({"object": {"const": "api"}}, models=_STRING, voices=_STRING, schema=_STRING),
    "ModelList": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}}),
    "Voice": _object(
        {**_VOICE, "type": _STRING},
        seed=_INTEGER,
        prompt=_STRING,
        prompt_followed={"const": False},
        transcript=_STRING,
        consent=_NULLABLE,
    ),
    "VoiceConsent": _object(_CONSENT),
    "VoiceConsentList": _object(
        {"object": {"const": "list"}, "data": {"type": "array", "items": _ref("VoiceConsent")}},
        first_id=_NULLABLE,
        last_id=_NULLABLE,
        has_more={"type": "boolean"},
    ),
    "VoiceList": _object(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": _ref("Voice")},
            "voices": {"type": "array", "items": _object(_NAMED_VOICE)},
        },
        aliases={"type": "object", "additionalProperties": _STRING},
        has_more={"type": "boolean"},
    ),
    "VoiceDeleted": _object({"id": _STRING, "object": _STRING, "deleted": {"const": True}}),
    "State": _object({"state": _STRING}, message=_STRING),
    "Rtc": _object({"object": {"const": "rtc"}, "channel": _STRING, "ice_servers": {"type": "array"}}),
    "RtcAnswer": _object({"type": {"const": "answer"}, "sdp": _STRING, "session_id": _STRING}),
}
_OK: Final[_Schema] = {
    "description": "New requests are admitted.",
    "content": {"text/plain": {"schema": {"const": "OK"}}},
}
_BINARY: Final[_Schema] = {"type": "string", "format": "binary"}
_AUDIO: Final = {each.media_type: {"schema": _BINARY} for each in FORMATS.values()}
_SPEECH: Final[_Schema] = {
    "description": "The audio, streamed while it is made, bare or in server-sent events.",
    "headers": {
        "Voxfleet-Seed": {"description": "The same request with this seed gives the same audio.", "schema": _INTEGER},
        "Voxfleet-Sample-Rate": {"description": "In Hz.", "schema": _INTEGER},
    },
    "content": {**_AUDIO, "text/event-stream": {"schema": _STRING}},
}


def _json(schema_name: str, description: str) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema_name)}}}


_RTC_ANSWER: Final[_Schema] = {
    "description": "The answer; the session is open.",
    "headers": {"Location": {"description": "DELETE it to end the session.", "schema": _STRING}},
    "content": {
        "application/json": {"schema": _ref("RtcAnswer")},
        "application/sdp": {"schema": _STRING},
    },
}
_NO_CONTENT: Final[_Schema] = {"description": "The session has ended."}
_SUCCESSES: Final = {("post", "/v1/audio/speech/rtc"): "201", ("delete", "/v1/audio/speech/rtc/{session_id}"): "204"}
# Each operation's response of success (200 unless `_SUCCESSES` has it), and the statuses of its errors.
_RESPONSES: Final[Mapping[tuple[str, str], tuple[_Schema, tuple[int, ...]]]] = {
    ("post", "/v1/audio/speech"): (_SPEECH, (400, 401, 403, 404, 413, 415, 429, 500, 503)),
    ("get", "/v1"): (_json("Api", "Where to go on."), (400, 401)),
    ("get", "/v1/models"): (_json("ModelList", "The one model of this server, and its aliases."), (400, 401)),
    ("get", "/v1/models/{name}"): (
        _json("Model", "The one model of this server, with its voices."),
        (400, 401, 404, 503),
    ),
    ("get", "/v1/audio/models"): (_json("AudioModels", "The names of the one model of this server."), (400, 401)),
    ("get", "/v1/audio/voices"): (_json("VoiceList", "The built-in and stored voices."), (400, 401, 503)),
    ("post", "/v1/audio/voices"): (
        _json("Voice", "The voice that was made."),
        (400, 401, 403, 408, 413, 415, 429, 500, 501, 503, 507),
    ),
    ("get", "/v1/audio/voices/{voice_id}"): (_json("Voice", "One voice."), (400, 401, 404)),
    ("delete", "/v1/audio/voices/{voice_id}"): (
        _json("VoiceDeleted", "The voice was deleted."),
        (400, 401, 403, 404, 501),
    ),
    ("get", "/v1/audio/voice_consents"): (_json("VoiceConsentList", "A page of the stored consents."), (400, 401, 501)),
    ("post", "/v1/audio/voice_consents"): (
        _json("VoiceConsent", "The consent that was stored."),
        (400, 401, 403, 408, 413, 415, 429, 501, 503, 507),
    ),
    ("get", "/v1/audio/voice_consents/{consent_id}"): (_json("VoiceConsent", "One consent."), (400, 401, 404)),
    ("post", "/v1/audio/voice_consents/{consent_id}"): (
        _json("VoiceConsent", "The consent under its new name."),
        (400, 401, 403, 404, 413, 415, 501, 507),
    ),
    ("delete", "/v1/audio/voice_consents/{consent_id}"): (
        _json("VoiceDeleted", "The consent was deleted."),
        (400, 401, 403, 404, 501),
    ),
    ("get", "/v1/audio/speech/rtc"): (_json("Rtc", "WebRTC is offered."), (400, 401, 501)),
    ("post", "/v1/audio/speech/rtc"): (_RTC_ANSWER, (400, 401, 403, 404, 413, 415, 429, 500, 501, 503)),
    ("delete", "/v1/audio/speech/rtc/{session_id}"): (_NO_CONTENT, (400, 401, 403, 404)),
    ("get", "/health"): (_OK, ()),
    ("get", "/health/live"): (_json("State", "This process should not be killed."), ()),
    ("get", "/health/ready"): (_json("State", "New requests are admitted."), ()),
}
_ERRORS: Final[Mapping[int, str]] = {
    400: "A field, a header or the JSON is wrong; `param` names the field, the message what it must be.",
    401: "No API key, or an unknown one.",
    403: "The request is of another website's page; `--allowed-origins` names those that may.",
    404: "There is no model, voice, consent or session of this name.",
    408: "The body came too slowly.",
    413: "The body is too large; the message has the limit.",
    415: "The body is compressed, or of a media type that is not accepted.",
    429: "This tenant's share of the server is used up; `Retry-After` says when to try again.",
    500: "The engine failed before the first byte.",
    501: "The settings of this server do not offer it; the message names the setting.",
    503: "The server loads, drains, has failed or is full: `code` says which, `Retry-After` when to try again.",
    507: "The limit of stored voices, or the disk, is full.",
}
_STATES: Final[Mapping[str, str]] = {
    "/health/live": "This process should be killed; `message` says why.",
    "/health/ready": "New requests are rejected; `message` says why.",
}


def describe(app: FastAPI, settings: ServeSettings) -> None:
    """Replace FastAPI's generator of /openapi.json by one that adds the tables of this module."""
    make = app.openapi
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:  # generated once: routes do not change
            document.update(_completed(make(), settings))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def _completed(document: dict[str, Any], settings: ServeSettings) -> dict[str, Any]:
    for (method, path), (success, statuses) in _RESPONSES.items():
        operation = document["paths"][path][method]
        succeeded = _SUCCESSES.get((method, path), "200")
        operation["responses"] = {succeeded: success, **{str(status): _error(status) for status in statuses}}
        if path.startswith("/v1"):
            operation["security"] = [{}, {"apiKey": []}]  # {}: a server without --api-keys-file needs no key
    document["paths"]["/health"]["get"]["responses"]["503"] = {
        "description": "New requests are rejected; the body names the state.",
        "content": {"text/plain": {"schema": _STRING}},
    }
    for path, description in _STATES.items():
        document["paths"][path]["get"]["responses"]["503"] = _json("State", description)
    fields = _speech_fields(document)
    fields["input"]["maxLength"] = settings.max_input_characters
    _name_bounds(fields)
    document["components"] = {
        "schemas": dict(_SCHEMAS),
        "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
    }
    return document


def _speech_fields(document: dict[str, Any]) -> dict[str, Any]:
    body = document["paths"]["/v1/audio/speech"]["post"]["requestBody"]
    fields: dict[str, Any] = body["content"]["application/json"]["schema"]["properties"]
    return fields


def _name_bounds(fields: dict[str, Any]) -> None:
    """Give bounds the names that JSON schema has: of an optional field with a validator pydantic writes `ge`, `le`."""
    for allowed in (each for field in fields.values() for each in field.get("anyOf", ())):
        for own, standard in (("ge", "minimum"), ("le", "maximum")):
            if own in allowed:
                allowed[standard] = allowed.pop(own)


def _error(status: int) -> _Schema:
    return _json("Error", _ERRORS[status])
