"""A missing prerequisite skips a test, and under CI fails it."""

from __future__ import annotations

import pytest
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.settings import read_settings


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_prerequisite_skips_or_under_ci_fails(ci: str, outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="needs root"), skipping(read_settings({"CI": ci})):
        raise UnavailableError("a cluster with nodes needs root")
