"""Which refusals OpenAI's clients answer by sending the request again."""

import pytest
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.server.responses import error_response


@pytest.mark.parametrize(
    ("refusal", "retry_after", "should_retry"),
    [
        (Refusal(400, "invalid_value", "no"), None, None),
        (Refusal(503, "region_waking", "soon", retry_after_seconds=7), "7", "true"),
        (Refusal(429, "rate_limit_exceeded", "soon", retry_after_seconds=7), "7", "true"),
        (Refusal(429, "rate_limit_exceeded", "late", retry_after_seconds=900, is_final=True), "900", "false"),
        (Refusal(429, "rate_limit_exceeded", "never", is_final=True), None, "false"),
    ],
)
def test_a_final_refusal_is_not_to_be_repeated(
    refusal: Refusal, retry_after: str | None, should_retry: str | None
) -> None:
    headers = error_response(refusal).headers
    assert (headers.get("Retry-After"), headers.get("X-Should-Retry")) == (retry_after, should_retry)
    assert len(headers.getall("X-Should-Retry", [])) <= 1
