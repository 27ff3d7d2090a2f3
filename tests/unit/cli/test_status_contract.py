"""What the command line knows of a status is what the operator writes."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.fleet.words import COMMANDS, PARTS, USUAL, WAKE_REASONS, region
from voxfleet_operator.resources import Failure, LastWake, Phase, RegionStatus
from voxfleet_operator.status.condition_types import CONDITIONS
from voxfleet_operator.status.reasons import REASONS

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
instants = st.sampled_from(["2026-11-30T09:59:00Z", "2026-11-30T10:01:00.000001Z"])
seconds = st.none() | st.sampled_from(["0.00", "12.34"])
statuses = st.builds(
    RegionStatus,
    name=st.just("eu"),
    phase=st.sampled_from(Phase),
    message=st.sampled_from(["", "{braces}"]),
    desired_replicas=st.integers(0, 3),
    ready_replicas=st.integers(0, 3),
    spot_replicas=st.integers(0, 3),
    awake_until=st.none() | instants,
    last_wake=st.none()
    | st.builds(LastWake, startedAt=instants, totalSeconds=seconds, nodeSeconds=seconds, approximate=st.booleans()),
    failure=st.none()
    | st.builds(Failure, reason=st.just("WakeTimeout"), failedAt=instants, retryAt=instants, templates=st.none()),
)


@given(statuses)
def test_every_region_that_the_operator_writes_is_explained(status: RegionStatus) -> None:
    found = region(status.model_dump(by_alias=True, exclude_none=True, mode="json"), NOW)
    assert found.state == status.phase
    assert not [line for line in found.why if "is not known to this version" in line]


def test_reasons_conditions_and_parts_are_the_operators() -> None:
    assert COMMANDS.keys() <= REASONS.keys()
    assert {field.alias for field in LastWake.model_fields.values()} >= PARTS.keys()
    assert {*USUAL} == {*CONDITIONS}
    description = LastWake.model_fields["reason"].description or ""
    assert set(re.findall(r"[A-Z][a-z]+[A-Z]\w+", description)) == {*WAKE_REASONS}
