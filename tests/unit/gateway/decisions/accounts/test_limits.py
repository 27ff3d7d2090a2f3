"""A tenant's use of its limits: all or nothing at admission, shares by gateways, refunds, wakes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from voxfleet_gateway.decisions.accounts.limits import (
    UNLIMITED,
    AudioCharge,
    Exceeded,
    LimitName,
    Limits,
    TenantUse,
    limits_of,
    parse_tenants,
)
from voxfleet_gateway.errors import TenantEntryError


def exceeded(result: object) -> LimitName | None:
    return result.name if isinstance(result, Exceeded) else None


def test_without_limits_everything_is_admitted() -> None:
    use = TenantUse()
    for _ in range(1000):
        assert use.admit(UNLIMITED, 1, 0.0) is None
        assert use.charge_audio(UNLIMITED, 1, 300.0, 0.0) is None
        assert use.take_wake(UNLIMITED, 1, 0.0) is None


def test_a_refused_request_takes_neither_a_token_nor_a_place() -> None:
    use, limits = TenantUse(), Limits(requests_per_second=1, burst=2, concurrent_requests=1)
    assert use.admit(limits, 1, 0.0) is None
    for _ in range(5):
        assert exceeded(use.admit(limits, 1, 0.0)) is LimitName.CONCURRENT
    use.release()
    assert use.admit(limits, 1, 0.0) is None, "the second token is still there"
    use.release()
    refused = use.admit(limits, 1, 0.0)
    assert exceeded(refused) is LimitName.REQUESTS
    assert use.open_requests == 0
    assert isinstance(refused, Exceeded)
    assert refused.retry_after_seconds == pytest.approx(1.0)


@given(st.integers(1, 6), st.floats(1, 100), st.integers(1, 30), st.integers(1, 30))
def test_all_gateways_together_stay_within_the_limits(gateways: int, audio: float, concurrent: int, wakes: int) -> None:
    limits = Limits(concurrent_requests=concurrent, audio_seconds_per_minute=audio, wakes_per_hour=wakes)
    uses = [TenantUse() for _ in range(gateways)]
    opened = sum(use.admit(limits, gateways, 0.0) is None for use in uses for _ in range(40))
    assert opened <= max(concurrent, gateways)  # each gateway admits at least one
    piece = audio / gateways / 3
    spoken = sum(
        piece for use in uses for _ in range(10) if not exceeded(use.charge_audio(limits, gateways, piece, 0.0))
    )
    assert spoken <= audio + 1e-6
    woken = sum(use.take_wake(limits, gateways, 0.0) is None for use in uses for _ in range(40))
    assert woken <= max(wakes, gateways)


def test_a_wake_budget_of_zero_is_never_worth_a_retry() -> None:
    refused = TenantUse().take_wake(Limits(wakes_per_hour=0), 2, 0.0)
    assert isinstance(refused, Exceeded)
    assert refused.retry_after_seconds is None


def test_the_wake_budget_returns_after_an_hour() -> None:
    use, limits = TenantUse(), Limits(wakes_per_hour=2)
    assert [exceeded(use.take_wake(limits, 1, at)) for at in (0.0, 10.0, 20.0)] == [None, None, LimitName.WAKES]
    refused = use.take_wake(limits, 1, 30.0)
    assert isinstance(refused, Exceeded)
    assert refused.retry_after_seconds is not None
    assert 3500 < refused.retry_after_seconds < 3700
    assert use.take_wake(limits, 1, 30.0 + refused.retry_after_seconds + 1) is None


class AudioMachine(RuleBasedStateMachine):
    """Charges and settlements in any order; the model is a list of (time, seconds that count)."""

    def __init__(self) -> None:
        super().__init__()
        self.use, self.limits, self.now = TenantUse(), Limits(audio_seconds_per_minute=100), 0.0
        self.open: list[tuple[AudioCharge, float]] = []
        self.admitted: list[tuple[float, float]] = []

    @rule(seconds=st.floats(0, 60))
    def charge(self, seconds: float) -> None:
        charge = self.use.charge_audio(self.limits, 1, seconds, self.now)
        if isinstance(charge, AudioCharge):
            self.open.append((charge, self.now))
            self.admitted.append((self.now, seconds))

    @rule(share=st.floats(0, 1), data=st.data())
    def settle_for_less(self, share: float, data: st.DataObject) -> None:
        if self.open:
            number = data.draw(st.integers(0, len(self.open) - 1))
            charge, at = self.open.pop(number)
            self.use.settle_audio({charge.slot: charge.seconds}, charge.seconds * share, self.now)
            self.admitted.remove((at, charge.seconds))
            self.admitted.append((at, charge.seconds * share))

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def no_minute_has_more_than_the_limit(self) -> None:
        recent = sum(seconds for at, seconds in self.admitted if at >= self.now - 60)
        assert recent <= 100 + 1e-6
        assert self.use.audio.used(self.now) >= recent - 1e-6


TestAudio = AudioMachine.TestCase


def test_limits_are_read_as_the_chart_writes_them() -> None:
    row = {"name": "acme", "requestsPerSecond": 5, "burst": 10, "concurrentRequests": 20}
    row |= {"audioSecondsPerMinute": 600, "wakesPerHour": 6, "priority": 3}
    tenants = parse_tenants(json.dumps([row, {"name": "*", "wakesPerHour": 0}]))
    assert limits_of(tenants, "acme") == Limits(
        requests_per_second=5, burst=10, concurrent_requests=20, audio_seconds_per_minute=600, wakes_per_hour=6,
        priority=3,
    )  # fmt: skip
    assert limits_of(tenants, "other").wakes_per_hour == 0
    assert limits_of({}, "other") == UNLIMITED


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("{", "not JSON"),
        ("{}", "must be a list"),
        ('[{"requestsPerSecond": 1}]', "tenant None: every entry needs a name"),
        ('[{"name": "a"}, {"name": "a"}]', "tenant 'a': every entry needs a name of its own"),
        ('[{"name": "a", "requestsPerSecond": 0}]', "tenant a: requestsPerSecond: .*greater than 0, given 0"),
        ('[{"name": "a", "requestPerSecond": 1}]', "tenant a: requestPerSecond: Extra inputs"),
        ('[{"name": "a", "priority": 101}]', "tenant a: priority: .*100, given 101"),
    ],
)
def test_a_mistake_names_tenant_field_and_value(text: str, quoted: str) -> None:
    with pytest.raises(TenantEntryError, match=quoted):
        parse_tenants(text)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.1, 5)), min_size=1, max_size=12), st.floats(0, 2))
def test_a_request_of_many_texts_counts_what_was_sent(texts: list[tuple[int, float]], share: float) -> None:
    use, limits = TenantUse(), Limits(audio_seconds_per_minute=1000)
    charges: dict[int, float] = {}
    for at, seconds in sorted(texts):
        charge = use.charge_audio(limits, 1, seconds, float(at))
        assert isinstance(charge, AudioCharge)
        charges[charge.slot] = charges.get(charge.slot, 0.0) + charge.seconds
    sent = share * sum(charges.values())
    use.settle_audio(charges, sent, 50.0)
    assert use.audio.used(50.0) == pytest.approx(sent)
