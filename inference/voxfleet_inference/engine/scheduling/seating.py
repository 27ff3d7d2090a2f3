"""Seats and the KV positions that go with them.

Knows: which seats are free and who could ever fit.
Does not know: who sits, or for how long.
"""

from __future__ import annotations

import heapq

from voxfleet_inference.engine.scheduling.kv_extents import KvExtents
from voxfleet_inference.engine.scheduling.plans import Room
from voxfleet_inference.engine.speech_model import Seat


class Seating:
    """Gives each sequence one seat and one extent, and takes both back."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._extents = KvExtents(room.kv_positions)
        self._free_seats = list(range(room.seats))

    @property
    def has_free_seat(self) -> bool:
        """Whether anybody could sit down, if the memory is there."""
        return bool(self._free_seats)

    @property
    def seats_used(self) -> int:
        """Seats that are taken."""
        return self._room.seats - len(self._free_seats)

    @property
    def kv_positions_used(self) -> int:
        """Positions that are reserved."""
        return self._room.kv_positions - self._extents.free_positions

    def why_never(self, positions: int) -> str:
        """Why a sequence of so many positions could not even sit alone; empty when it could."""
        if positions <= self._room.kv_positions:
            return ""
        return (
            f"the sentence with its voice needs up to {positions} KV positions, and this server has"
            f" {self._room.kv_positions}; shorten the sentence or the voice's recording"
        )

    def take(self, positions: int) -> Seat | None:
        """The lowest free seat with its extent; None when there is no seat or no extent long enough."""
        if not self._free_seats:
            return None
        first = self._extents.take(positions)
        if first is None:
            return None
        return Seat(heapq.heappop(self._free_seats), first, positions)

    def give_back(self, seat: Seat) -> None:
        """Free a seat that no step in flight names."""
        self._extents.give_back(seat.first_position, seat.positions)
        heapq.heappush(self._free_seats, seat.index)
