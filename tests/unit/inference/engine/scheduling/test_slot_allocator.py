from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.plans import EngineCapacity
from voxfleet_inference.engine.scheduling.slot_allocator import KvExtents, SlotAllocator

POSITIONS = 64


def longest_gap(taken: dict[int, int]) -> int:
    """The longest free piece, counted position by position."""
    used = {at for first, length in taken.items() for at in range(first, first + length)}
    edges = [-1, *sorted(used), POSITIONS]
    return max(later - earlier - 1 for earlier, later in pairwise(edges))


@given(st.data())
def test_extents_never_overlap_and_fail_only_when_no_piece_is_long_enough(data: st.DataObject) -> None:
    extents, taken = KvExtents(POSITIONS), dict[int, int]()
    for _ in range(data.draw(st.integers(1, 40))):
        if taken and data.draw(st.booleans()):
            first = data.draw(st.sampled_from(sorted(taken)))
            extents.free(first, taken.pop(first))
        else:
            length = data.draw(st.integers(1, 24))
            taken_first = extents.allocate(length)
            assert (taken_first is None) == (longest_gap(taken) < length)
            if taken_first is not None:
                used = {at for first, long in taken.items() for at in range(first, first + long)}
                assert used.isdisjoint(range(taken_first, taken_first + length))
                assert 0 <= taken_first <= POSITIONS - length
                taken[taken_first] = length
        assert extents.free_positions == POSITIONS - sum(taken.values())
    for first, length in taken.items():
        extents.free(first, length)
    assert extents.allocate(POSITIONS) == 0


def test_the_first_gap_that_is_long_enough_is_taken() -> None:
    extents = KvExtents(30)
    assert [extents.allocate(10) for _ in range(3)] == [0, 10, 20]
    extents.free(0, 10)
    extents.free(20, 10)
    assert [extents.allocate(5), extents.allocate(6), extents.allocate(5), extents.allocate(4)] == [0, 20, 5, 26]
    assert extents.allocate(1) is None


def test_a_slot_without_kv_positions_stays_free() -> None:
    allocator = SlotAllocator(EngineCapacity(slots=2, kv_positions=10))
    assert allocator.allocate(8) == Slot(0, 0, 8)
    assert allocator.allocate(8) is None
    assert allocator.has_free_slot
    assert allocator.allocate(2) == Slot(1, 8, 2)
    assert not allocator.has_free_slot
    assert (allocator.slots_used, allocator.kv_positions_used) == (2, 10)


def test_without_a_free_slot_no_kv_positions_are_reserved() -> None:
    allocator = SlotAllocator(EngineCapacity(slots=1, kv_positions=10))
    slot = allocator.allocate(4)
    assert slot is not None
    assert allocator.allocate(4) is None
    allocator.free(slot)
    assert allocator.allocate(10) == Slot(0, 0, 10)
