"""One simulated cloud for all tests here: real control plane, operator and Karpenter; simulated nodes and pods."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from voxfleet_demo.spot.environment import SpotEnvironment, example, running_spot_environment
from voxfleet_demo.spot.operator_process import OperatorOptions
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.settings import Settings

Applied = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def environment(testbed_settings: Settings) -> Iterator[SpotEnvironment]:
    with skipping(testbed_settings):
        running = running_spot_environment(testbed_settings, options=OperatorOptions(spot_quiet_seconds=5))
        started = running.__enter__()
    try:
        yield started
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def fleet(environment: SpotEnvironment) -> Applied:
    """A resource for as long as a block runs: examples/spot.yaml with short times, and the given changes."""

    @contextmanager
    def applied(name: str, **overrides: dict[str, Any]) -> Iterator[str]:
        environment.apply(example(name, **overrides))
        try:
            yield name
        finally:
            environment.delete(name)

    return applied
