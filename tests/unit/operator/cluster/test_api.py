"""The client of the API server, without a server."""

import pytest
from voxfleet_operator.cluster.api import retry_after_seconds


@pytest.mark.parametrize(("header", "seconds"), [("", 0), ("1", 1), ("30", 30), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)])
def test_retry_after_is_read_in_seconds(header: str, seconds: float) -> None:
    assert retry_after_seconds(header) == seconds
