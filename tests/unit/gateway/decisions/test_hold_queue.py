"""In any order of events each request leaves the queue once, in order, and the bound holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_gateway.decisions.hold_queue import HoldQueue, Ticket


def test_first_come_first_served() -> None:
    queue = HoldQueue(10)
    for number in (2, 0, 1):
        assert queue.offer(Ticket(number, 99))
    assert [ticket.number for ticket in queue.release(2)] == [0, 1]
    assert len(queue) == 1


def test_a_request_that_returns_keeps_its_place() -> None:
    queue = HoldQueue(10)
    first, second = Ticket(0, 99), Ticket(1, 99)
    queue.offer(first)
    queue.offer(second)
    assert queue.release(1) == [first]
    queue.offer(first)
    assert queue.release(1) == [first]


def test_the_bound_holds() -> None:
    queue = HoldQueue(1)
    assert queue.offer(Ticket(0, 99))
    assert not queue.offer(Ticket(1, 99))
    assert not HoldQueue(0).offer(Ticket(2, 99))


@pytest.mark.parametrize("count", [-1, 0])
def test_without_capacity_no_request_is_released(count: int) -> None:
    queue = HoldQueue(1)
    queue.offer(Ticket(0, 99))
    assert queue.release(count) == []


@given(st.lists(st.floats(0, 100), max_size=20), st.floats(0, 100))
def test_exactly_the_tickets_past_their_deadline_expire(deadlines: list[float], now_seconds: float) -> None:
    queue = HoldQueue(100)
    for number, deadline in enumerate(deadlines):
        queue.offer(Ticket(number, deadline))
    expired = queue.expire(now_seconds)
    assert [ticket.number for ticket in expired] == [n for n, at in enumerate(deadlines) if at <= now_seconds]
    assert len(queue) == len(deadlines) - len(expired)


class AnyOrder(RuleBasedStateMachine):
    """Requests arrive, are released, expire and are withdrawn in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = HoldQueue(5)
        self.entered: set[int] = set()
        self.left: list[int] = []
        self.number = 0
        self.now_seconds = 0.0

    @rule(hold_seconds=st.floats(0, 10))
    def arrive(self, hold_seconds: float) -> None:
        ticket = Ticket(self.number, self.now_seconds + hold_seconds)
        self.number += 1
        if self.queue.offer(ticket):
            self.entered.add(ticket.number)

    @rule(count=st.integers(0, 4))
    def release(self, count: int) -> None:
        released = [ticket.number for ticket in self.queue.release(count)]
        assert released == sorted(released)
        self.left += released

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now_seconds += seconds
        self.left += [ticket.number for ticket in self.queue.expire(self.now_seconds)]

    @rule(number=st.integers(0, 40))
    def go_away(self, number: int) -> None:
        if self.queue.withdraw(Ticket(number, 0)):
            self.left.append(number)

    @invariant()
    def each_request_is_in_one_place(self) -> None:
        waiting = [ticket.number for ticket in self.queue.waiting]
        assert len(waiting) <= 5
        assert len(self.left) == len(set(self.left))
        assert set(waiting) | set(self.left) == self.entered
        assert not set(waiting) & set(self.left)


TestAnyOrder = AnyOrder.TestCase
