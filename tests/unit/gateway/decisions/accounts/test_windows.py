"""In any window no more is taken than the limit, whatever the order of takes, corrections and clock readings."""

from hypothesis import example, given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.accounts.windows import SLOTS, SlidingWindow, TokenBucket

STEP = st.one_of(st.integers(-3, 3).map(float), st.floats(-5, 30))
STEPS = st.lists(STEP, min_size=1, max_size=60)  # seconds between two calls; a clock may go back


def times(steps: list[float]) -> list[float]:
    at, found = 1000.0, []
    for step in steps:
        at = max(0.0, at + step)
        found.append(at)
    return found


def monotonic(readings: list[float]) -> list[float]:
    """Each reading as a clock that never goes back would have it."""
    return [max(readings[: number + 1]) for number in range(len(readings))]


@given(STEPS, st.floats(0.1, 20), st.floats(1, 10))
@example([0.0, -5.0, 5.0], 1.0, 1.0)
def test_a_bucket_gives_at_most_its_burst_and_what_refills(steps: list[float], rate: float, burst: float) -> None:
    bucket, readings = TokenBucket(), times(steps)
    taken = [at for real, at in zip(readings, monotonic(readings), strict=True) if bucket.take(rate, burst, real) == 0]
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - taken[first]) + 1e-6


@given(st.floats(0.1, 20), st.floats(1, 10), st.integers(1, 20))
def test_a_refused_bucket_gives_after_the_wait_that_it_names(rate: float, burst: float, already: int) -> None:
    bucket = TokenBucket()
    for _ in range(already):
        bucket.take(rate, burst, 50.0)
    wait_seconds = bucket.take(rate, burst, 50.0)
    if wait_seconds:
        assert bucket.take(rate, burst, 50.0 + wait_seconds * 0.98) > 0
        assert bucket.take(rate, burst, 50.0 + wait_seconds + 1e-6) == 0


@given(st.lists(st.tuples(STEP, st.floats(0, 40)), min_size=1, max_size=60), st.floats(1, 50))
@example([(0.0, 0.0), (-30.0, 10.0), (62.0, 10.0)], 10.0)
def test_no_window_holds_more_than_the_share(calls: list[tuple[float, float]], share: float) -> None:
    window, readings = SlidingWindow(60.0), times([step for step, _ in calls])
    taken = [
        (at, amount)
        for real, at, (_, amount) in zip(readings, monotonic(readings), calls, strict=True)
        if window.take(amount, share, share, real) is not None
    ]
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at <= start + 60.0) <= share + 1e-6


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 40), st.floats(0, 60)), min_size=1, max_size=40),
    st.floats(1, 50),
)
def test_corrections_count_and_are_never_negative(calls: list[tuple[float, float, float]], share: float) -> None:
    """What is used is what was really used, in the last minute: less is given back, more is added."""
    window, now = SlidingWindow(60.0), 0.0
    for step, estimate, actual in calls:
        now += step
        before = window.used(now)
        slot = window.take(estimate, share, share, now)
        if slot is None:
            assert before + estimate > share
            continue
        window.correct(slot, actual - estimate, now)
        assert abs(window.used(now) - (before + actual)) < 1e-6
    assert window.used(now + 62.0) == 0


def test_a_refund_after_the_window_gives_nothing_back() -> None:
    window = SlidingWindow(60.0)
    slot = window.take(10, 10, 10, 0.0)
    assert slot is not None
    assert window.take(10, 10, 10, 100.0) is not None
    window.correct(slot, -10, 100.0)
    assert window.used(100.0) == 10
    window.correct(slot, 5, 100.0)  # more than estimated is a debt, however late it is known
    assert window.used(100.0) == 15


def test_an_amount_beyond_the_share_passes_alone_and_beyond_the_limit_never() -> None:
    window = SlidingWindow(60.0)
    assert window.take(40, 25, 50, 0.0) is not None
    assert window.take(1, 25, 50, 1.0) is None
    assert window.take(51, 25, 50, 1000.0) is None
    assert window.take(40, 25, 50, 1000.0) is not None


@given(st.lists(st.floats(1, 10), min_size=1, max_size=10), st.floats(1, 10))
def test_the_wait_is_enough_and_not_a_slot_too_long(amounts: list[float], asked: float) -> None:
    window, share, now = SlidingWindow(60.0), 20.0, 500.0
    for amount in amounts:
        window.take(amount, share, share, now)
        now += 7.0
    wait_seconds = window.wait_seconds(asked, share, now)
    if window.used(now) + asked > share:
        assert window.used(now + wait_seconds + 1e-6) + asked <= share + 1e-9
        assert wait_seconds <= 60.0 * (SLOTS + 1) / SLOTS


def test_memory_is_bounded() -> None:
    window = SlidingWindow(60.0)
    for number in range(100_000):
        window.take(0.001, 1e9, 1e9, number * 0.1)
    assert len(window.amounts) <= SLOTS + 1
