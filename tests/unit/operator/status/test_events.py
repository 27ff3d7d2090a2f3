"""Events of a status: which change makes which, and that an equal status makes none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.resources import Condition, Failure, LastWake, Phase, RegionStatus, VoxTTSDeploymentStatus
from voxfleet_operator.status.event_drafts import EVENTS, LONGEST_NOTE_BYTES, EventDraft, bounded
from voxfleet_operator.status.events import MOST_PER_WRITE, Cause, events_of
from voxfleet_operator.status.reasons import REASONS

EARLIER, LATER = "2026-11-18T11:06:40Z", "2026-11-18T11:30:00Z"
IDLE_SINCE = 1_795_000_000.0
FAILURE = Failure(reason="ImageNotFound", message="no such image", failed_at=EARLIER, retry_at=LATER)
SHORT = LastWake(started_at=EARLIER, ready_at=LATER, total_seconds="12.50", node_seconds="0.10", other_seconds="12.40")
WHOLE = SHORT.model_copy(update={"process_seconds": "2.00", "weights_seconds": "8.10", "other_seconds": "2.30"})
DEMAND = Cause("Waking", "RequestHeld", holder="gw-0")


def region(phase: Phase, name: str = "eu", **more: Any) -> RegionStatus:
    return RegionStatus(name=name, phase=phase, **more)


def status(*regions: RegionStatus, **conditions: tuple[str, str]) -> VoxTTSDeploymentStatus:
    """A status with conditions as (status, reason)."""
    made: list[Any] = [
        Condition(type=kind, status=state, reason=reason, message="the text", last_transition_time=EARLIER)  # type: ignore[arg-type] # a Literal
        for kind, (state, reason) in conditions.items()
    ]
    return VoxTTSDeploymentStatus(regions=list(regions), conditions=made)


def said(found: tuple[EventDraft, ...]) -> list[tuple[str, str, str]]:
    return [("Warning" if each.is_warning else "Normal", each.reason, each.message) for each in found]


REFUSED = (
    f"region eu: no such image. Ready is False; tried again on demand from {LATER} on. Correct spec.image or set "
    "podTemplate.imagePullSecrets. Runbook: VoxFleetRegionFailed."
)
PARTS = "weights 8.10 s, other 2.30 s, process 2.00 s, node 0.10 s"
ASLEEP, AWAKE = region(Phase.ASLEEP), region(Phase.AWAKE, last_wake=WHOLE)
TABLE: list[tuple[RegionStatus | None, RegionStatus, Cause, list[tuple[str, str, str]]]] = [
    (
        ASLEEP,
        region(Phase.WAKING),
        DEMAND,
        [("Normal", "Waking", "region eu: waking on demand: the Lease was renewed by gw-0")],
    ),
    (
        None,
        region(Phase.WAKING),
        Cause("Waking", "MinReplicas"),
        [
            (
                "Normal",
                "Waking",
                "region eu: waking because minReplicas asks for servers; Ready is False until one is ready",
            )
        ],
    ),
    (
        ASLEEP,
        region(Phase.WAKING, message="fetching: 3 of 9 GB"),
        Cause("FetchingWeights"),
        [("Normal", "FetchingWeights", "region eu: fetching: 3 of 9 GB")],
    ),
    (
        AWAKE,
        region(Phase.WAKING, message="pod a waits for a node", last_wake=WHOLE),
        DEMAND,
        [("Warning", "Waking", "region eu: no server is ready any more; pod a waits for a node")],
    ),
    (
        region(Phase.WAKING),
        region(Phase.AWAKE, last_wake=SHORT),
        DEMAND,
        [("Normal", "Awake", "region eu: awake after 12.50 s; slowest first: other 12.40 s, node 0.10 s")],
    ),
    (
        region(Phase.AWAKE, last_wake=SHORT),
        AWAKE,
        DEMAND,
        [
            (
                "Normal",
                "Awake",
                f"region eu: awake after 12.50 s; slowest first: {PARTS}",
            )
        ],
    ),
    (
        region(Phase.WAKING, last_wake=WHOLE),
        AWAKE,
        DEMAND,
        [("Normal", "Awake", "region eu: serving again")],
    ),
    (AWAKE, region(Phase.DRAINING, last_wake=WHOLE), Cause("Draining"), []),
    (
        region(Phase.DRAINING),
        ASLEEP,
        Cause("Asleep", idle_since=IDLE_SINCE),
        [("Normal", "Asleep", "region eu: asleep, idle since 2026-11-18T11:06:40Z; the next request wakes it")],
    ),
    (
        region(Phase.DRAINING),
        region(Phase.ASLEEP, message="asleep as a user asked"),
        Cause("Asleep", idle_since=IDLE_SINCE),
        [("Normal", "Asleep", "region eu: asleep as a user asked")],
    ),
    (
        region(Phase.WAKING),
        region(Phase.FAILED, message="no such image", failure=FAILURE),
        Cause("ImageNotFound"),
        [
            (
                "Warning",
                "ImageNotFound",
                REFUSED,
            )
        ],
    ),
    (
        region(Phase.DRAINING),
        region(Phase.SUSPENDED, message="suspended"),
        Cause("Suspended"),
        [("Normal", "Suspended", "region eu: suspended")],
    ),
    (None, ASLEEP, Cause("Asleep"), []),
    (None, AWAKE, DEMAND, []),
]


@pytest.mark.parametrize(("before", "after", "cause", "expected"), TABLE)
def test_each_change_of_a_region_makes_its_event(
    before: RegionStatus | None, after: RegionStatus, cause: Cause, expected: list[tuple[str, str, str]]
) -> None:
    found = events_of(status(before) if before else status(), status(after), {"eu": cause})
    assert said(found) == expected
    assert all(each.reason in REASONS or each.reason in EVENTS for each in found)


def test_what_a_wake_amends_is_the_same_occurrence() -> None:
    first = events_of(status(region(Phase.WAKING)), status(region(Phase.AWAKE, last_wake=SHORT)))
    more = events_of(status(region(Phase.AWAKE, last_wake=SHORT)), status(AWAKE))
    (one,), (other,) = first, more
    assert (one.reason, one.occurrence, one.at) == (other.reason, other.occurrence, other.at)
    assert one.message != other.message


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            {"Ready": ("True", "Serving")},
            {"Ready": ("False", "ApplyFailed")},
            [("Warning", "ApplyFailed", "Ready is False: the text")],
        ),
        (
            {"Ready": ("False", "ApplyFailed")},
            {"Ready": ("True", "Serving")},
            [("Normal", "Serving", "Ready is True again after ApplyFailed: the text")],
        ),
        (
            {"Degraded": ("False", "AsExpected")},
            {"Degraded": ("True", "SpotUnavailable")},
            [("Warning", "SpotUnavailable", "Degraded: the text")],
        ),
        (
            {"Degraded": ("True", "SpotUnavailable")},
            {"Degraded": ("False", "AsExpected")},
            [("Normal", "AsExpected", f"Degraded is False again; it was SpotUnavailable since {EARLIER}")],
        ),
        (
            {"Ready": ("True", "Serving"), "Degraded": ("False", "AsExpected")},
            {"Ready": ("False", "NameTaken"), "Degraded": ("True", "NameTaken")},
            [("Warning", "NameTaken", "Ready is False: the text")],
        ),
        ({}, {"Ready": ("False", "Waking")}, [("Normal", "Waking", "Ready is False: the text")]),
        ({}, {"Ready": ("True", "Asleep"), "Degraded": ("False", "AsExpected")}, []),
        ({"Ready": ("True", "Asleep")}, {"Ready": ("True", "Serving")}, []),
        (
            {"Reconciling": ("False", "Settled")},
            {"Reconciling": ("False", "Paused")},
            [("Normal", "Paused", "the text")],
        ),
    ],
)
def test_conditions_make_events_when_they_turn(
    before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]], expected: list[tuple[str, str, str]]
) -> None:
    assert said(events_of(status(**before), status(**after))) == expected


def test_a_region_that_fails_says_so_once() -> None:
    before = status(region(Phase.WAKING), Ready=("True", "Waking"))
    after = status(region(Phase.FAILED, message="no", failure=FAILURE), Ready=("False", "ImageNotFound"))
    assert [each.reason for each in events_of(before, after)] == ["ImageNotFound"]


def test_a_wake_after_a_failure_says_that_ready_is_true_again_too() -> None:
    before = status(region(Phase.FAILED, message="no", failure=FAILURE), Ready=("False", "ImageNotFound"))
    after = status(region(Phase.WAKING), Ready=("True", "Waking"))
    assert [each.message.partition(":")[0] for each in events_of(before, after, {"eu": DEMAND})] == [
        "region eu",
        "Ready is True again after ImageNotFound",
    ]


def test_a_reclaim_is_reported_once() -> None:
    now = status(region(Phase.AWAKE, message="0 spot, 1 on demand"))
    cause = {"eu": Cause("Awake", reclaimed_at=IDLE_SINCE)}
    (found,) = events_of(now, now, cause, IDLE_SINCE - 1)
    assert said((found,)) == [
        ("Warning", "SpotReclaimed", "region eu: a spot node was reclaimed; 0 spot, 1 on demand"),
    ]
    assert events_of(now, now, cause, IDLE_SINCE) == ()


def test_many_regions_make_few_events_warnings_first() -> None:
    names = [f"r{number}" for number in range(20)]
    before = status(*(region(Phase.WAKING, name) for name in names))
    after = status(
        *(region(Phase.AWAKE, name, last_wake=WHOLE) for name in names[1:]), region(Phase.FAILED, "r0", message="x")
    )
    found = events_of(before, after, {"r0": Cause("WakeTimeout")})
    assert len(found) == MOST_PER_WRITE
    assert (found[0].region, found[0].reason) == ("r0", "WakeTimeout")


def test_a_long_message_is_cut_and_its_remedy_is_not() -> None:
    text = bounded("区" * 2000, " Correct model.source.")
    assert len(text.encode()) <= LONGEST_NOTE_BYTES
    assert text.endswith("... Correct model.source.")


PHASES = st.sampled_from(list(Phase))
WAKES = st.sampled_from([None, SHORT, WHOLE])
TEXTS = st.text(max_size=4096)
REGIONS = st.builds(region, PHASES, message=TEXTS, last_wake=WAKES, failure=st.sampled_from([None, FAILURE]))
CONDITIONS = st.dictionaries(
    st.sampled_from(["Ready", "Degraded", "Reconciling"]),
    st.tuples(st.sampled_from(["True", "False"]), st.sampled_from(sorted(REASONS))),
)
STATUSES = st.builds(lambda one, conditions: status(one, **conditions), REGIONS, CONDITIONS)


@given(STATUSES, st.sampled_from([DEMAND, Cause("WakeTimeout"), Cause("Asleep", idle_since=IDLE_SINCE)]))
def test_property_the_same_status_twice_makes_none(same: VoxTTSDeploymentStatus, cause: Cause) -> None:
    assert events_of(same, same.model_copy(deep=True), {"eu": cause}) == ()


@given(STATUSES, STATUSES, st.sampled_from([DEMAND, Cause("WakeTimeout")]))
def test_property_events_are_few_bounded_and_of_known_reasons(
    before: VoxTTSDeploymentStatus, after: VoxTTSDeploymentStatus, cause: Cause
) -> None:
    found = events_of(before, after, {"eu": cause})
    assert len({(each.region, each.reason) for each in found}) == len(found) <= MOST_PER_WRITE
    for each in found:
        assert len(each.message.encode()) <= LONGEST_NOTE_BYTES
        assert each.reason in REASONS or each.reason in EVENTS
