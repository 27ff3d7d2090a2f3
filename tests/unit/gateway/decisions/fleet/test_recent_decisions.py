"""The newest decisions, bounded, one per request."""

from voxfleet_gateway.decisions.fleet.recent_decisions import MOST_DECISIONS, RecentDecisions
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.routing import Decision, RouteRequest

HOLD = DecisionRecord(RouteRequest("eu"), (), Decision("hold", "eu", "hold-wake"))
SERVE = DecisionRecord(RouteRequest("eu"), (), Decision("serve", "eu", "nearest"))


def test_a_later_decision_about_a_request_replaces_the_earlier_one() -> None:
    recent = RecentDecisions()
    recent.record(("a", 1.0), 1.0, "acme", ("d", "n"), HOLD)
    recent.record(("b", 2.0), 2.0, "acme", ("d", "n"), SERVE)
    recent.record(("a", 1.0), 3.0, "acme", ("d", "n"), SERVE)
    assert [(each.request_id, each.first, each.number) for each in recent.newer_than(0)] == [
        ("b", 2, 2),
        ("a", 1, 3),
    ]
    assert [each.request_id for each in recent.newer_than(2)] == ["a"]


def test_two_requests_of_one_id_are_two() -> None:
    recent = RecentDecisions()
    recent.record(("a", 1.0), 1.0, "", ("d", "n"), HOLD)
    recent.record(("a", 2.0), 1.0, "", ("d", "n"), HOLD)
    assert len({each.first for each in recent.newer_than(0)}) == 2


def test_the_oldest_is_dropped() -> None:
    recent = RecentDecisions()
    for number in range(3 * MOST_DECISIONS):
        recent.record((str(number), 1.0), 1.0, "", ("d", "n"), SERVE)
    kept = recent.newer_than(0)
    assert len(kept) == MOST_DECISIONS
    assert kept[-1].request_id == str(3 * MOST_DECISIONS - 1)
