"""Few choices explore, always the same ones, and none at a high price."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.rtt.exploration import (
    MAX_EXTRA_RATIO,
    MAX_EXTRA_SECONDS,
    SHARE,
    explored,
    is_exploring,
)

NEAR = (("eu", 0.02), ("us", 0.045), ("cn", 0.2))
regions = st.dictionaries(st.text(max_size=4), st.floats(0.001, 1.0), max_size=8).map(lambda rows: tuple(rows.items()))


def test_one_to_two_percent_of_the_keys_explore_and_only_what_is_near() -> None:
    found = [explored(NEAR, f"request-{number}") for number in range(20_000)]
    assert 0.01 < sum(each is not None for each in found) / len(found) < 0.02
    assert set(found) == {None, "us"}
    assert 0.01 < SHARE < 0.02


@given(regions, st.text())
def test_an_explored_region_is_another_one_within_the_bound_and_the_same_again(
    rows: tuple[tuple[str, float], ...], key: str
) -> None:
    found = explored(rows, key, share=1.0)
    assert found == explored(rows[::-1], key, share=1.0)
    assert explored(rows, key, share=0.0) is None
    assert is_exploring(key, share=1.0)
    if not is_exploring(key):
        assert explored(rows, key) is None
    if found is None:
        return
    best = min(seconds for _, seconds in rows)
    assert dict(rows)[found] <= best + max(MAX_EXTRA_SECONDS, best * MAX_EXTRA_RATIO)
    assert found != min(rows, key=lambda each: (each[1], each[0]))[0]


def test_nothing_is_explored_where_there_is_no_choice() -> None:
    assert explored((), "a", share=1.0) is explored((("eu", 0.02),), "a", share=1.0) is None
    assert explored((("eu", 0.02), ("cn", 0.3)), "a", share=1.0) is None
