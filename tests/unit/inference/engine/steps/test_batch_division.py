"""How a batch is divided after memory ran out: no row is lost, and all are tried together again in the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.steps.batch_division import CAREFUL_STEPS, BatchDivision

BATCHES = st.lists(st.integers(), min_size=1, max_size=64, unique=True)


@given(BATCHES, st.integers(0, 3))
def test_every_row_is_in_one_piece_and_in_order(batch: list[int], times_out_of_memory: int) -> None:
    division = BatchDivision()
    for _ in range(times_out_of_memory):
        halves = division.after_memory_ran_out(batch)
        assert [each for half in halves for each in half] == batch
    assert [each for piece in division.next_step(batch) for each in piece] == batch
    assert division.next_step([]) == []


@given(BATCHES.filter(lambda batch: len(batch) > 1))
def test_later_steps_have_the_rows_that_may_fit_until_all_are_tried_again(batch: list[int]) -> None:
    division = BatchDivision()
    larger = max(len(half) for half in division.after_memory_ran_out(batch))
    assert larger < len(batch)
    for _ in range(CAREFUL_STEPS - 1):
        assert max(len(piece) for piece in division.next_step(batch)) == larger
    assert division.next_step(batch) == [batch]


def test_a_single_row_says_nothing_about_a_batch() -> None:
    division = BatchDivision()
    assert division.after_memory_ran_out([7]) == [[7]]
    assert division.next_step([7, 8, 9]) == [[7, 8, 9]]
