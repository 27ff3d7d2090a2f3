"""What the answer of another region's gateway means: passed on, tried again elsewhere, or no answer."""

import json

import pytest
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.server.live.rtc.spilled import Answer


@pytest.mark.parametrize(
    ("status", "headers", "failure"),
    [
        (201, {}, None),
        (501, {}, None),  # of a pod without WebRTC: every pod of the model is so
        (400, {}, None),  # the client's mistake, found by the pod
        (404, {"Voxfleet-Refusal": "model_not_found"}, UpstreamFailure.REFUSED),
        (503, {"Retry-After": "1"}, UpstreamFailure.FULL),
        (503, {}, UpstreamFailure.ERROR_5XX),
    ],
)
def test_a_status_is_what_it_is_over_http(
    status: int, headers: dict[str, str], failure: UpstreamFailure | None
) -> None:
    answer = Answer.of(status, headers, b"{}")
    if failure is None:
        answer.check()
    else:
        with pytest.raises(UpstreamFailedError) as failed:
            answer.check()
        assert failed.value.failure is failure


def test_an_answer_has_the_headers_that_are_the_clients_and_not_the_gateways_own() -> None:
    given = {"Location": "/v1/audio/speech/rtc/s1", "Set-Cookie": "a=b", "Voxfleet-Refusal": "c"}
    answer = Answer.of(201, given, "ü".encode())
    assert json.loads(answer.text()) == {
        "type": "answer",
        "status": 201,
        "headers": {"Location": "/v1/audio/speech/rtc/s1", "Voxfleet-Refusal": "c"},
        "body": "ü",
    }
    response = answer.response()
    assert (response.headers["Location"], response.body) == ("/v1/audio/speech/rtc/s1", "ü".encode())
    assert "Voxfleet-Refusal" not in response.headers
