"""No order of arrivals and departures takes more than the bounds of the process, of a model, or of a tenant."""

from math import ceil

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_gateway.decisions.hold.hold_places import MODEL_SHARE, TENANT_SHARE, HoldBounds, HoldPlaces
from voxfleet_gateway.decisions.hold.tickets import Ticket

ONE, TWO = ("n", "one"), ("n", "two")


@pytest.mark.parametrize(
    ("bounds", "fitting"),
    [
        (HoldBounds(requests=8), 4),
        (HoldBounds(body_bytes=1000), 5),
        (HoldBounds(audio_seconds=60), 3),
        (HoldBounds(), 6),
    ],
)
def test_each_bound_ends_the_taking(bounds: HoldBounds, fitting: int) -> None:
    places = HoldPlaces(bounds)
    taken = [places.take(ONE, Ticket(number, 0, "", 10.0, 100), 6) for number in range(10)]
    assert taken == [True] * fitting + [False] * (10 - fitting)
    assert places.take(TWO, Ticket(99, 0, "", 10.0, 100), 6), "another model has its own part"


def test_one_tenant_leaves_places_for_others_and_callers_without_a_key_are_no_tenant() -> None:
    places = HoldPlaces()
    of_one = [places.take(ONE, Ticket(number, 0, "a"), 8) for number in range(8)]
    assert of_one == [True] * 6 + [False] * 2
    assert places.take(ONE, Ticket(8, 0, "b"), 8)
    assert all(places.take(TWO, Ticket(number, 0), 8) for number in range(10, 18))


def test_a_request_that_was_admitted_before_gets_a_place_in_any_case() -> None:
    places = HoldPlaces()
    assert not places.take(ONE, Ticket(0, 0), 0)
    assert places.take(ONE, Ticket(0, 0), 0, is_admitted=True)
    assert places.free(ONE, 1) == 0


class AnyOrder(RuleBasedStateMachine):
    """Requests of two models and three tenants take places and give them back."""

    BOUNDS = HoldBounds(12, 4000, 300.0)
    LIMIT = 5

    def __init__(self) -> None:
        super().__init__()
        self.places, self.held, self.number = HoldPlaces(self.BOUNDS), {}, 0  # type: ignore[var-annotated]

    @rule(
        model=st.sampled_from([ONE, TWO]),
        tenant=st.sampled_from(["", "a", "b"]),
        seconds=st.floats(0.1, 100),
        size=st.integers(1, 900),
    )
    def arrive(self, model: tuple[str, str], tenant: str, seconds: float, size: int) -> None:
        ticket = Ticket(self.number, 0, tenant, seconds, size)
        self.number += 1
        if self.places.take(model, ticket, self.LIMIT):
            self.held[ticket.number] = model, ticket

    @rule(index=st.integers(0, 20))
    def leave(self, index: int) -> None:
        if self.held:
            number = sorted(self.held)[index % len(self.held)]
            self.places.give_back(*self.held.pop(number))

    @invariant()
    def bounds_hold(self) -> None:
        for models, share in (((ONE, TWO), 1.0), ((ONE,), MODEL_SHARE), ((TWO,), MODEL_SHARE)):
            tickets = [ticket for model, ticket in self.held.values() if model in models]
            bounds = self.BOUNDS.share(share)
            assert len(tickets) <= min(bounds.requests, self.LIMIT * len(models))
            assert sum(ticket.body_bytes for ticket in tickets) <= bounds.body_bytes
            assert sum(ticket.cost_audio_seconds for ticket in tickets) <= bounds.audio_seconds + 1e-6
        for model in (ONE, TWO):
            for tenant in ("a", "b"):
                count = sum(1 for each, ticket in self.held.values() if (each, ticket.tenant) == (model, tenant))
                assert count <= ceil(self.LIMIT * TENANT_SHARE)

    @invariant()
    def nothing_is_left_of_what_was_given_back(self) -> None:
        assert {*self.places.by_model} == {model for model, _ in self.held.values()}
        assert self.places.used.requests == len(self.held)
        if not self.held:
            assert self.places.used.audio_seconds == 0


TestAnyOrder = AnyOrder.TestCase
