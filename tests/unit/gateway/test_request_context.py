"""What a request's log line and the headers of its response say."""

import pytest
from voxfleet_gateway.request_context import new_context


@pytest.mark.parametrize("given_id", ["", "a\nb", "é", "x" * 129])
def test_an_unusable_request_id_is_replaced(given_id: str) -> None:
    context = new_context(given_id, "POST", "/", "eu")
    assert context.request_id != given_id
    assert len(context.request_id) == 32


def test_a_usable_request_id_is_kept() -> None:
    assert new_context("abc-1", "POST", "/", "eu").headers() == {
        "Voxfleet-Region": "eu",
        "Voxfleet-Route": "gateway",
        "X-Request-Id": "abc-1",
        "X-Content-Type-Options": "nosniff",
    }


def test_a_response_has_what_is_left_of_the_limits_and_what_its_page_needs() -> None:
    context = new_context("abc-1", "POST", "/", "eu")
    context.limit_headers, context.page_headers = {"x-ratelimit-limit-requests": "1"}, {"Vary": "Origin"}
    assert context.headers().items() >= {**context.limit_headers, **context.page_headers}.items()


def test_a_line_without_a_decision_has_the_common_fields_only() -> None:
    fields = new_context("abc-1", "GET", "/v1/models", "eu").log_fields()
    assert {*fields} == {"request_id", "method", "path", "status", "region", "route", "total_seconds"}
