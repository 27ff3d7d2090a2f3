"""What is wrong with a request has one status, type, code and headers, at a gateway and at a server."""

import pytest
from voxfleet_gateway import refusals
from voxfleet_gateway.decisions.accounts.limits import Exceeded, LimitName
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.server.responses import error_body, error_response
from voxfleet_inference import errors
from voxfleet_inference.errors import ApiError
from voxfleet_inference.requests import check_model

LIMIT = Exceeded(LimitName.REQUESTS, "60 of 60", 7.0)


def unknown_model() -> ApiError:
    with pytest.raises(ApiError) as caught:
        check_model("x", ("m",))
    return caught.value


@pytest.mark.parametrize(
    ("at_a_gateway", "at_a_server"),
    [
        (refusals.missing_key(), errors.NoApiKeyError("", has_key=False)),
        (refusals.unknown_key(), errors.NoApiKeyError("", has_key=True)),
        (refusals.expired_key("k"), errors.NoApiKeyError("", has_key=True)),
        (refusals.foreign_page("x"), errors.ForbiddenOriginError("", code="origin_not_allowed")),
        (refusals.unknown_model("x", ["m"]), unknown_model()),
        (refusals.body_too_large(9), errors.BodyTooLargeError("", code="body_too_large")),
        (refusals.body_encoded("gzip"), errors.UnsupportedEncodingError("", code="unsupported_encoding")),
        (refusals.unsupported_media_type("x"), errors.UnsupportedMediaTypeError("", code="unsupported_media_type")),
        (
            refusals.limit_exceeded(LIMIT),
            errors.TooManyRequestsError("", code="rate_limit_exceeded", retry_after_seconds=7),
        ),
        (
            refusals.gateway_draining(),
            errors.UnavailableError("", code="gateway_draining", retry_after_seconds=1),
        ),
    ],
    ids=lambda each: each.code,
)
def test_an_error_is_the_same_at_a_gateway_and_at_a_server(at_a_gateway: Refusal, at_a_server: ApiError) -> None:
    here, there = error_body(at_a_gateway)["error"], at_a_server.body["error"]
    assert (at_a_gateway.status, here["type"], here["code"]) == (at_a_server.status, there["type"], there["code"])
    headers = {name.lower(): value for name, value in error_response(at_a_gateway).headers.items()}
    own = {name: value for name, value in headers.items() if name not in {"content-type", "content-length"}}
    assert own == {name.lower(): value for name, value in at_a_server.headers.items()}
