"""What counters are increased by: the difference of two states, never below zero."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.cost.ledger import Ledger, Rate, advance, with_rates
from voxfleet_operator.decisions.cost.spending import Spending, spending_between

START, HOUR, DAY, ALWAYS = 1_795_000_000.0, 3600.0, 86_400.0, 1e12
AWAKE = Rate("eu", 1, 2, baseline_gpus=3, on_demand_price=2.0, spot_price=0.5)
ASLEEP = Rate("eu", is_asleep=True, baseline_gpus=1, on_demand_price=2.0)


def test_the_spending_of_an_hour() -> None:
    before = Ledger(START, (AWAKE,))
    after = advance(before, START + HOUR, ALWAYS)
    assert spending_between(before, after) == {"eu": Spending(HOUR, 2 * HOUR, 2.0, 1.0, 0.0, 0.0)}
    asleep = with_rates(after, [ASLEEP])
    assert spending_between(asleep, advance(asleep, START + 2 * HOUR, ALWAYS)) == {
        "eu": Spending(0.0, 0.0, 0.0, 0.0, 3 * HOUR, 6.0)
    }


def test_a_month_that_is_dropped_takes_nothing_away() -> None:
    before = advance(Ledger(START, (ASLEEP,)), START + 390 * DAY, ALWAYS)
    after = advance(before, START + 420 * DAY, ALWAYS)
    assert len(before.months) == len(after.months)
    assert round(spending_between(before, after)["eu"].avoided_seconds) == 30 * DAY


@given(st.lists(st.tuples(st.floats(0, 40 * DAY), st.sampled_from([AWAKE, ASLEEP])), max_size=8))
def test_spending_never_falls(steps: list[tuple[float, Rate]]) -> None:
    ledger, now = Ledger(START), START
    for seconds, rate in steps:
        before, now = with_rates(ledger, [rate]), now + seconds
        ledger = advance(before, now, ALWAYS)
        for spent in spending_between(before, ledger).values():
            assert min(spent) >= 0
