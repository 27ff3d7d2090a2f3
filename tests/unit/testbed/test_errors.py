"""The errors are one tree."""

from __future__ import annotations

import pytest
from voxfleet_testbed.errors import ApiError, BuildError, StartError, TestbedError, UnavailableError


@pytest.mark.parametrize("kind", [UnavailableError, BuildError, StartError])
def test_errors_are_of_one_tree(kind: type[TestbedError]) -> None:
    assert issubclass(kind, TestbedError)
    assert ApiError(409, "taken").status == 409
