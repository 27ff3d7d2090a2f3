"""What counts as a failure of a fault, and what a fault may do: a table."""

import pytest
from voxfleet_demo.chaos.outcomes import Ending, FaultKind, Outcome, audio_ending, count, other_gateway

PLANNED = FaultKind("rolls", "a planned fault")
TAKING = FaultKind("dies", "a region is taken away", "us-east")


@pytest.mark.parametrize(
    ("kind", "gateway", "ending", "problems"),
    [
        (PLANNED, "us-east", Ending.ANSWERED, []),
        (PLANNED, "us-east", Ending.REFUSED, []),
        (PLANNED, "us-east", Ending.LOST, ["1 lost"]),
        (PLANNED, "us-east", Ending.CUT, ["1 cut"]),
        (PLANNED, "us-east", Ending.FALSE, ["1 false"]),
        (PLANNED, "us-east", Ending.UNREACHED, ["1 unreached"]),
        (PLANNED, "us-east", Ending.DENIED, []),
        (PLANNED, "us-east", Ending.ADMITTED, ["1 admitted"]),
        (TAKING, "us-east", Ending.LOST, []),
        (TAKING, "us-east", Ending.UNREACHED, []),
        (TAKING, "eu-central", Ending.LOST, ["1 lost"]),
        (TAKING, "eu-central", Ending.UNREACHED, ["1 unreached"]),
        (TAKING, "us-east", Ending.CUT, []),
        (TAKING, "eu-central", Ending.CUT, []),
        (TAKING, "us-east", Ending.FALSE, ["1 false"]),
    ],
)
def test_a_fault_fails_on_what_it_must_not_do(
    kind: FaultKind, gateway: str, ending: Ending, problems: list[str]
) -> None:
    outcomes = [Outcome("eu-central", Ending.ANSWERED, 0.5), Outcome(gateway, ending, 2.0, "the message")]
    result = count(kind, 60.0, outcomes)
    assert result.problems == problems
    assert result.requests == 2
    assert result.as_json()["requests"] == sum(result.as_json()[name.replace(" ", "_")] for name in Ending)


def test_a_run_without_an_answer_proves_nothing() -> None:
    assert count(PLANNED, 60.0, [Outcome("us-east", Ending.REFUSED, 0.1)]).problems == ["none answered"]


def test_a_cluster_that_does_not_recover_is_a_problem() -> None:
    result = count(PLANNED, 60.0, [Outcome("us-east", Ending.ANSWERED, 0.1)], "no gateway is ready")
    assert result.problems == ["no gateway is ready"]


def test_the_longest_wait_is_that_of_an_answer_or_a_refusal() -> None:
    endings = {Ending.ANSWERED: 1.0, Ending.REFUSED: 7.0, Ending.LOST: 90.0}
    outcomes = [Outcome("us-east", ending, seconds) for ending, seconds in endings.items()]
    result = count(PLANNED, 60.0, outcomes)
    assert (result.longest_wait_seconds, result.longest_failure_seconds) == (7.0, 90.0)
    assert count(TAKING, 60.0, outcomes).longest_failure_seconds == 0.0, "at the gateway that was taken away"


@pytest.mark.parametrize(("seconds", "ending"), [(4.0, "answered"), (4.3, "answered"), (2.0, "false"), (0.0, "false")])
def test_a_response_that_ends_early_is_not_complete(seconds: float, ending: str) -> None:
    assert audio_ending(seconds, 4.1) == ending


def test_a_client_changes_to_the_other_gateway() -> None:
    assert other_gateway("us-east") == "eu-central"
    assert other_gateway("eu-central") == "us-east"
