"""Seats and the KV positions that go with them.

Knows: which seats are free and who could ever fit.
Does not know: who sits, or for how long.
"""

from __future__ import annotations

import heapq

from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.kv_extents import KvExtents
from voxfleet_inference.engine.scheduling.plans import EngineCapacity


class SlotAllocator:
    """Gives each sequence one seat and one extent, and takes both back."""

    def __init__(self, capacity: EngineCapacity) -> None:
        self._capacity = capacity
        self._extents = KvExtents(capacity.kv_positions)
        self._free_slots = list(range(capacity.slots))

    @property
    def has_free_slot(self) -> bool:
        """Whether anybody could sit down, if the memory is there."""
        return bool(self._free_slots)

    @property
    def slots_used(self) -> int:
        """Seats that are taken."""
        return self._capacity.slots - len(self._free_slots)

    @property
    def kv_positions_used(self) -> int:
        """Positions that are reserved."""
        return self._capacity.kv_positions - self._extents.free_positions

    def rejection_reason(self, positions: int) -> str:
        """Why a sequence of so many positions could not even sit alone; empty when it could."""
        if positions <= self._capacity.kv_positions:
            return ""
        return (
            f"the sentence with its voice needs up to {positions} KV positions, and this server has"
            f" {self._capacity.kv_positions}; shorten the sentence or the voice's recording"
        )

    def allocate(self, positions: int) -> Slot | None:
        """The lowest free seat with its extent; None when there is no seat or no extent long enough."""
        if not self._free_slots:
            return None
        first = self._extents.allocate(positions)
        if first is None:
            return None
        return Slot(heapq.heappop(self._free_slots), first, positions)

    def free(self, slot: Slot) -> None:
        """Free a seat that no step in flight names."""
        self._extents.free(slot.first_position, slot.positions)
        heapq.heappush(self._free_slots, slot.index)
