"""Tenants that wait are given the same audio, each in its own order, and none waits for ever."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_gateway.decisions.hold.tickets import FairOrder, Ticket

LARGEST_SECONDS = 920.0  # 4,096 Chinese characters


def taken(order: FairOrder, count: int) -> list[Ticket]:
    left = [count]

    def claim(_ticket: Ticket) -> bool:
        left[0] -= 1
        return True

    return [*order.take(claim, lambda: left[0] > 0)]


def order_of(*requests: tuple[str, float]) -> FairOrder:
    order = FairOrder()
    for number, (tenant, seconds) in enumerate(requests):
        order.add(Ticket(number, 0, tenant, seconds))
    return order


def test_one_tenant_is_served_in_order_of_arrival() -> None:
    assert [ticket.number for ticket in taken(order_of(*[("a", 5.0)] * 4), 9)] == [0, 1, 2, 3]


def test_many_requests_of_one_tenant_delays_another_by_one_request() -> None:
    order = order_of(*[("many", 10.0)] * 50, ("other", 10.0))
    assert [ticket.tenant for ticket in taken(order, 3)].index("other") <= 1


def test_long_texts_take_the_place_of_many_short_ones() -> None:
    order = order_of(*[("long", 100.0)] * 5, *[("short", 10.0)] * 50)
    served = Counter(ticket.tenant for ticket in taken(order, 33))
    assert served == {"long": 3, "short": 30}


def test_a_tenant_that_was_away_has_saved_nothing_up() -> None:
    order = order_of(*[("a", 10.0)] * 20, ("b", 10.0))
    taken(order, 15)
    for number in range(100, 110):
        order.add(Ticket(number, 0, "b", 10.0))
    assert Counter(ticket.tenant for ticket in taken(order, 6)) == {"a": 3, "b": 3}


def test_what_was_not_sent_is_not_counted() -> None:
    order = order_of(*[("a", 10.0)] * 9, *[("b", 10.0)] * 9)
    for _ in range(30):
        (ticket,) = taken(order, 1)
        order.put_back(ticket)
        assert (ticket.number, ticket.tenant) == (0, "a"), "its place is kept, and so is its tenant's turn"


requests = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(0.1, LARGEST_SECONDS)), min_size=1, max_size=60
)


@given(requests, st.randoms(use_true_random=False))
def test_tenants_that_both_wait_are_given_the_same_within_one_request_of_each(
    sent: list[tuple[str, float]], draw: random.Random
) -> None:
    order = order_of(*sent)
    waiting = defaultdict(list, {tenant: [each for each in order if each.tenant == tenant] for tenant in "abc"})
    given_seconds: Counter[str] = Counter()
    while order:
        for ticket in taken(order, draw.randint(1, 3)):
            backlogged = [tenant for tenant in "abc" if waiting[tenant]]
            assert ticket == waiting[ticket.tenant].pop(0), "order within a tenant"
            given_seconds[ticket.tenant] += ticket.cost_audio_seconds
            for one in backlogged:
                for other in backlogged:
                    largest = sum(max(s for t, s in sent if t == tenant) for tenant in (one, other))
                    assert given_seconds[one] - given_seconds[other] <= largest + 1e-6
    assert sum(map(len, waiting.values())) == 0, "none is left behind"


class NoStarvation(RuleBasedStateMachine):
    """While other tenants send what they like, a waiting request is served after a bounded amount of audio."""

    def __init__(self) -> None:
        super().__init__()
        self.order, self.number = FairOrder(), 0
        self.now_seconds = 0.0  # audio given
        self.arrived_at: dict[int, float] = {}
        self.tenants: set[str] = set()

    @rule(tenant=st.sampled_from(["a", "b", "c"]), seconds=st.floats(0.1, 50.0), count=st.integers(1, 5))
    def arrive(self, tenant: str, seconds: float, count: int) -> None:
        for _ in range(count):
            is_first = not any(ticket.tenant == tenant for ticket in self.order)
            self.order.add(Ticket(self.number, 0, tenant, seconds))
            if is_first:
                self.arrived_at[self.number] = self.now_seconds
            self.number += 1

    @rule(count=st.integers(1, 4), is_returned=st.booleans())
    def serve(self, count: int, is_returned: bool) -> None:  # noqa: FBT001
        for ticket in taken(self.order, count):
            if is_returned:
                self.order.put_back(ticket)
                continue
            self.now_seconds += ticket.cost_audio_seconds
            if (arrived := self.arrived_at.pop(ticket.number, None)) is not None:
                # What this tenant was given before, and one request in flight of each of two others, twice over.
                assert self.now_seconds - arrived <= 6 * 50.0
            heads = {tenant: queue[0] for tenant, queue in self.order.waiting.items()}
            if ticket.tenant in heads:
                self.arrived_at.setdefault(heads[ticket.tenant].number, self.now_seconds)

    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        tickets = sorted(self.order)
        if tickets:
            gone = tickets[index % len(tickets)]
            self.order.remove(gone)
            self.arrived_at.pop(gone.number, None)

    @invariant()
    def is_bounded_in_memory(self) -> None:
        assert {*self.order.waiting} <= {*self.order.served_until} <= {"a", "b", "c"}
        assert all(queue == sorted(queue) for queue in self.order.waiting.values())


TestNoStarvation = NoStarvation.TestCase


@pytest.mark.parametrize("tenants", [1, 200])
def test_tenants_that_left_are_forgotten(tenants: int) -> None:
    order = FairOrder()
    for number in range(tenants * 3):
        order.add(Ticket(number, 0, f"t{number % tenants}", 1.0 + number % 7))
        taken(order, 1)
    for number in range(2):  # one that goes on moves the clock past what the others were given
        order.add(Ticket(10**6 + number, 0, "last", 10**6))
        taken(order, 1)
    order.take_all()
    assert {*order.served_until} <= {"last"}
