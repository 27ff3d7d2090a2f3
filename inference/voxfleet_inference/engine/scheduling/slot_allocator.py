"""Slots and KV positions: which are free, and which a sequence gets.

Each sequence needs one slot and one contiguous extent of KV positions, so that attention reads a row's past in one
piece. Extents are first fit.

Knows: what is free.
Does not know: sequences, or how long they keep what they got.
"""

from __future__ import annotations

import bisect
import heapq

from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.plans import EngineCapacity


class KvExtents:
    """The free extents of the KV cache, in order; neighbours are always joined."""

    def __init__(self, positions: int) -> None:
        self.free_positions = positions  # in all, in any number of pieces
        self._free: list[tuple[int, int]] = [(0, positions)] if positions else []  # (first, end)

    def allocate(self, positions: int) -> int | None:
        """First position of a new extent of this length; None when no free piece is long enough."""
        for at, (first, end) in enumerate(self._free):
            if end - first >= positions:
                rest = (first + positions, end)
                self._free[at : at + 1] = [rest] if rest[0] < end else []
                self.free_positions -= positions
                return first
        return None

    def free(self, first: int, positions: int) -> None:
        """Free an extent, and join it with its free neighbours."""
        end = first + positions
        at = bisect.bisect(self._free, (first, end))
        low, high = at, at
        if at > 0 and self._free[at - 1][1] == first:
            low, first = at - 1, self._free[at - 1][0]
        if at < len(self._free) and self._free[at][0] == end:
            high, end = at + 1, self._free[at][1]
        self._free[low:high] = [(first, end)]
        self.free_positions += positions


class SlotAllocator:
    """Gives each sequence a slot with its extent, and takes it back."""

    def __init__(self, capacity: EngineCapacity) -> None:
        self._capacity = capacity
        self._extents = KvExtents(capacity.kv_positions)
        self._free_slots = list(range(capacity.slots))  # a heap

    @property
    def has_free_slot(self) -> bool:
        """Whether a slot is free; KV positions may still be missing."""
        return bool(self._free_slots)

    @property
    def slots_used(self) -> int:
        """Number of slots in use."""
        return self._capacity.slots - len(self._free_slots)

    @property
    def kv_positions_used(self) -> int:
        """Number of KV positions that are reserved, written or not."""
        return self._capacity.kv_positions - self._extents.free_positions

    def rejection_reason(self, positions: int) -> str:
        """Why a sequence of so many positions could never run, even alone; empty when it could."""
        if positions <= self._capacity.kv_positions:
            return ""
        return (
            f"the sentence with its voice needs up to {positions} KV positions, and this server has"
            f" {self._capacity.kv_positions}; shorten the sentence or the voice's recording"
        )

    def allocate(self, positions: int) -> Slot | None:
        """The lowest free slot with a new extent; None when there is no slot or no extent long enough."""
        if not self._free_slots:
            return None
        first = self._extents.allocate(positions)
        if first is None:
            return None
        # The lowest slot: the model's buffers are used from the front, and the same input gets the same slots.
        return Slot(heapq.heappop(self._free_slots), first, positions)

    def free(self, slot: Slot) -> None:
        """Free a slot that no step in flight uses."""
        self._extents.free(slot.first_position, slot.positions)
        heapq.heappush(self._free_slots, slot.index)
