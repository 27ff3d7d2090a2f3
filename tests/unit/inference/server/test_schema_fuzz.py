"""The API against its own OpenAPI document: requests that it allows or forbids get a response that it lists.

The examples are the same in every run: with new random ones, a bug would appear in an unrelated change.
"""

from __future__ import annotations

import json
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = 21
BOUNDED = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def check_error(response: Any) -> None:
    """An error has OpenAI's form, and 429 and 503 have Retry-After."""
    if response.status_code < 400:
        return
    error = json.loads(response.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    if response.status_code in {429, 503}:
        assert int(response.headers["retry-after"][0]) >= 1


def operations_of(url: str) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    found = [each.ok() for each in schema.get_all_operations()]
    assert len(found) == OPERATIONS
    return found


def checked_status(case: Case) -> int:
    """Check a response against the document; return its status."""
    response = case.call(timeout=60)
    check_error(response)
    is_stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
    # The checker has parsed this string into objects.
    case.validate_response(
        response, checks=[each for each in CHECKS if not (is_stream and each is response_schema_conformance)]
    )
    return int(response.status_code)


def test_requests_that_the_document_allows_get_a_listed_response(tone_server_url: str) -> None:
    for operation in operations_of(tone_server_url):

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def check(case: Case) -> None:
            assert 200 <= checked_status(case) < 600

        check()


def test_requests_that_the_document_forbids_get_a_listed_error(tone_server_url: str) -> None:
    for operation in operations_of(tone_server_url):
        if not len(operation.body):
            continue

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def check(case: Case) -> None:
            assert 400 <= checked_status(case) < 500

        check()


def test_any_fields_that_the_document_allows_make_speech(tone_server_url: str) -> None:
    """The document does not fix the model's name, so most generated requests get 404; here the name is right."""
    operation = next(each for each in operations_of(tone_server_url) if each.path == "/v1/audio/speech")
    statuses: list[int] = []

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def check(case: Case) -> None:
        assume(isinstance(case.body, dict))
        case.body |= {"model": "voxcpm-1.5", "voice": "default"}
        for name in ("reference_audio", "reference_text"):
            case.body.pop(name, None)
        statuses.append(checked_status(case))

    check()
    assert set(statuses) <= {200, 400}, "some rates are right for some formats only"
    assert statuses.count(200) >= len(statuses) // 3


def test_the_fuzzed_server_still_speaks(tone_server_url: str) -> None:
    body = {"model": "voxcpm-1.5", "input": "Hello.", "response_format": "pcm", "sample_rate": 44100}
    spoken = requests.post(f"{tone_server_url}/v1/audio/speech", json=body, timeout=60)
    assert len(spoken.content) == len("Hello.") * 7056 * 2
