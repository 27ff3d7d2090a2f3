"""What the sweeps say: by the machines alone, with clients' waiting, and what 100 ms cost."""

from dataclasses import replace

import pytest
from voxfleet_simulation.results.answers import idle_answer, price_answer
from voxfleet_simulation.results.statistics import NO_DELAYS, Statistics
from voxfleet_simulation.results.study import SweepPoint

NOTHING = Statistics("x", 1000, {}, {}, NO_DELAYS, NO_DELAYS, NO_DELAYS, 0.0, 0.0, 0.0, 0.0, 0, 0, 0)


def point(value: float, money: float, held_hours: float = 0.0, mean: float = 0.0) -> SweepPoint:
    delays = replace(NO_DELAYS, mean=mean)
    return SweepPoint(value, replace(NOTHING, money=money, held_hours=held_hours, all=delays))


def test_the_break_even_timeout_depends_on_the_price_of_waiting() -> None:
    points = [point(60, 10, 4), point(600, 20, 1), point(3600, 40, 0.9)]
    answers = {price: idle_answer(points, price) for price in (0.0, 10.0, 1000.0)}
    assert [each.break_even_seconds for each in answers.values() if each] == [60, 600, 3600]
    assert answers[0.0] is not None
    assert answers[0.0].cheapest_seconds == 60
    assert answers[0.0].price_per_hour_waited == ((600, pytest.approx(10 / 3)), (3600, pytest.approx(200)))


def test_100_ms_are_priced_between_the_ends_of_the_sweep() -> None:
    answer = price_answer([point(4, 70, mean=0.25), point(0, 100, mean=0.05)])
    assert answer is not None
    assert answer.money_per_hundred_ms == pytest.approx(15)
    assert answer.money_per_million_requests == pytest.approx(15_000)


def test_without_points_there_is_no_answer_and_a_delay_that_does_not_grow_has_no_price() -> None:
    assert idle_answer([], 10) is None
    assert price_answer([]) is None
    flat = price_answer([point(0, 100, mean=0.05), point(9, 90, mean=0.05)])
    assert flat is not None
    assert flat.money_per_hundred_ms is None
