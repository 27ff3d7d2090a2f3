"""In any order of events a place is kept until its request is sent or gone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_gateway.decisions.hold.hold_queue import SPILL_PAUSE_SECONDS, HoldQueue, free_by_region
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.snapshot import RegionView

HERE, BOTH = frozenset({"eu"}), frozenset({"eu", "us"})


def queue_of(*numbers: int, regions: frozenset[str] = HERE) -> HoldQueue:
    queue = HoldQueue("eu")
    for number in numbers:
        queue.offer(Ticket(number, 99), regions, 0.0)
    return queue


def released(queue: HoldQueue, now: float = 0.0, **free: int) -> list[int]:
    return [ticket.number for ticket in queue.release(free, now)]


def test_first_come_first_served() -> None:
    queue = queue_of(2, 0, 1)
    assert released(queue, eu=2) == [0, 1]
    assert len(queue) == 3, "places are kept while they decide"
    assert queue.leave(Ticket(0, 99))
    assert len(queue) == 2


def test_a_request_that_returns_keeps_its_place_though_new_ones_came() -> None:
    queue = queue_of(0, 1)
    assert released(queue, eu=1) == [0]
    queue.offer(Ticket(2, 99), HERE, 0.0)
    queue.offer(Ticket(0, 99), HERE, 0.0)
    assert released(queue, eu=1) == [0]


@pytest.mark.parametrize("count", [-1, 0])
def test_without_capacity_no_request_is_released(count: int) -> None:
    assert released(queue_of(0), eu=count) == []


def test_only_requests_that_may_use_a_region_are_released_for_it() -> None:
    queue = queue_of(0, 1)
    queue.offer(Ticket(2, 99), BOTH, 0.0)
    assert released(queue, us=5) == [2], "those before it may not go there, and stay"
    assert released(queue, eu=1, us=5) == [0]


def test_a_request_that_was_held_again_decides_about_other_regions_after_a_pause() -> None:
    queue = queue_of(0, regions=BOTH)
    assert released(queue, us=1) == [0]
    queue.offer(Ticket(0, 99), BOTH, 0.0)
    assert released(queue, now=SPILL_PAUSE_SECONDS / 2, us=1) == []
    assert released(queue, now=SPILL_PAUSE_SECONDS / 2, eu=1) == [0], "its own region is no other one"
    queue.offer(Ticket(0, 99), BOTH, 1.0)
    assert released(queue, now=1.0 + SPILL_PAUSE_SECONDS, us=1) == [0]


def test_a_new_request_does_not_pass_those_that_wait() -> None:
    queue = queue_of(0, 1)
    assert not queue.is_in_turn(Ticket(2, 99))
    queue.release({"eu": 2}, 0.0)
    assert queue.is_in_turn(Ticket(0, 99))
    assert queue.is_in_turn(Ticket(2, 99)), "those that decide are sent at once"


@given(st.integers(0, 9), st.integers(0, 9), st.booleans(), st.none() | st.just("bad weights"))
def test_capacity_is_that_of_awake_regions(pods: int, free: int, suspended: bool, failure: str | None) -> None:  # noqa: FBT001
    home = RegionView("eu", is_suspended=suspended, failure=failure, ready_pods=pods, free_requests=free)
    other = RegionView("us", ready_pods=1, free_requests=3)
    found = free_by_region(home, [home, other])
    if suspended or (failure and not pods):
        assert found is None
    else:
        assert found == {"us": 3} | ({"eu": free} if pods and free else {})


class AnyOrder(RuleBasedStateMachine):
    """Requests arrive, are released, return, are sent and leave in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = HoldQueue("eu")
        self.present: set[int] = set()
        self.tickets: dict[int, Ticket] = {}
        self.number = 0
        self.now = 0.0

    @rule(regions=st.sampled_from([HERE, BOTH, frozenset({"us"})]), tenant=st.sampled_from(["", "a"]))
    def arrive(self, regions: frozenset[str], tenant: str) -> None:
        ticket = Ticket(self.number, self.now, tenant, 5.0)
        self.number += 1
        self.queue.offer(ticket, regions, self.now)
        self.tickets[ticket.number] = ticket
        self.present.add(ticket.number)

    @rule(eu=st.integers(0, 3), us=st.integers(0, 3), seconds=st.floats(0, 1))
    def release(self, eu: int, us: int, seconds: float) -> None:
        self.now += seconds
        before = {*self.queue.deciding}
        found = self.queue.release({"eu": eu, "us": us}, self.now)
        numbers = [ticket.number for ticket in found]
        for tenant in ("", "a"):
            of_tenant = [ticket.number for ticket in found if ticket.tenant == tenant]
            assert of_tenant == sorted(of_tenant)
        chosen = Counter(self.queue.deciding[number] for number in numbers)
        assert chosen["eu"] <= eu
        assert chosen["us"] <= us
        assert not before & {*numbers}, "none is released twice"
        assert all(self.queue.deciding[number] in self.queue.regions[number] for number in numbers)

    @rule(index=st.integers(0, 9))
    def hold_again(self, index: int) -> None:
        deciding = sorted(self.queue.deciding)
        if deciding:
            number = deciding[index % len(deciding)]
            self.queue.offer(self.tickets[number], self.queue.regions[number], self.now)

    @rule(number=st.integers(0, 40))
    def leave(self, number: int) -> None:
        assert self.queue.leave(self.tickets.get(number, Ticket(number, 0))) is (number in self.present)
        self.present.discard(number)

    @invariant()
    def each_request_has_one_place(self) -> None:
        waiting = [ticket.number for ticket in self.queue.order]
        assert len(waiting) == len({*waiting})
        assert not {*waiting} & {*self.queue.deciding}
        assert {*waiting} | {*self.queue.deciding} == self.present == {*self.queue.regions}
        assert len(self.queue) == len(self.present)
        assert {*self.queue.spill_after_seconds} <= self.present


TestAnyOrder = AnyOrder.TestCase
