"""No request is lost while the gateways roll and the operator is down; `make chaos` has further faults."""

from collections.abc import Iterator

import pytest
from voxfleet_demo.chaos.chaos_runner import ChaosRunner, awake_resource
from voxfleet_demo.chaos.faults import Subject, runnable
from voxfleet_demo.chaos.report import as_lines
from voxfleet_demo.installation import Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SHORT = ("gateways-roll", "operator-down")


@pytest.fixture(scope="module")
def runner(installation: Installation) -> Iterator[ChaosRunner]:
    with awake_resource(Subject(installation)) as made:
        yield made


@pytest.mark.parametrize("name", SHORT)
def test_every_request_under_a_fault_is_answered_or_refused_with_retry_after(runner: ChaosRunner, name: str) -> None:
    (kind,) = (kind for kind in runnable(runner.subject) if kind.name == name)
    result = runner.run(kind)
    print(as_lines(result))  # noqa: T201 - pytest shows it when a request failed
    assert not result.problems
