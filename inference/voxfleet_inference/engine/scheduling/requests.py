"""The requests behind the sequences: which sentences of each wait or sit, and how its listener stands.

Knows: ranks (places in a request's text), and that a request without sentences may get more of them.
Does not know: seats, steps or clocks.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from voxfleet_inference.engine.scheduling.playback import Playback
from voxfleet_inference.engine.sequences import Sequence

_REMEMBERED: Final = 1024  # requests that have no sentence just now


@dataclass(slots=True)
class Request:
    """One request's sentences that have not ended."""

    request_id: int
    playback: Playback
    waiting: list[tuple[int, int]] = field(default_factory=list)  # (rank, sequence id), in order
    assigned: dict[int, int] = field(default_factory=dict)  # sequence id -> rank

    @property
    def next_played(self) -> int:
        """The rank of its first sentence that has not ended: what the listener hears now or next."""
        assigned = min(self.assigned.values(), default=None)
        if not self.waiting:
            return assigned or 0
        return self.waiting[0][0] if assigned is None else min(assigned, self.waiting[0][0])

    def has_waiting_before(self, rank: int, sequence_id: int) -> bool:
        """Whether a sentence that is heard before this one has no seat: one that is said again, as a rule."""
        return bool(self.waiting) and self.waiting[0] < (rank, sequence_id)

    @property
    def is_idle(self) -> bool:
        """Whether it has no sentence here; the next may come once this one has become its voice."""
        return not self.waiting and not self.assigned


class Requests:
    """The requests that have sentences, and the newest of those that may get some more."""

    def __init__(self, patch_seconds: float) -> None:
        self._patch_seconds = patch_seconds
        self._requests: dict[int, Request] = {}
        self._idle: OrderedDict[int, Request] = OrderedDict()

    def __getitem__(self, request_id: int) -> Request:
        """A request that has sentences."""
        return self._requests[request_id]

    def enqueue(self, sequence: Sequence, speed: float, now: float) -> None:
        """Count a sentence in; said again, its earlier patches count no more."""
        request = self._requests.get(sequence.request_id) or self._reopened(sequence.request_id, speed)
        request.playback.restart_sentence(sequence.rank)
        if request.is_idle:
            request.playback.text_arrived(sequence.rank, now)
        bisect.insort(request.waiting, (sequence.rank, sequence.sequence_id))

    def _reopened(self, request_id: int, speed: float) -> Request:
        """A request that had no sentence just now, or a new one."""
        new = Request(request_id, Playback(self._patch_seconds / speed))
        self._requests[request_id] = self._idle.pop(request_id, new)
        return self._requests[request_id]

    def assign(self, request_id: int, rank: int, sequence_id: int) -> None:
        """A waiting sentence got its seat."""
        request = self._requests[request_id]
        request.waiting.remove((rank, sequence_id))
        request.assigned[sequence_id] = rank

    def end(self, request_id: int, rank: int, sequence_id: int) -> None:
        """A sentence has ended, wherever it was."""
        request = self._requests[request_id]
        if request.assigned.pop(sequence_id, None) is None:
            request.waiting.remove((rank, sequence_id))
        if request.is_idle:
            self._idle[request_id] = self._requests.pop(request_id)
            if len(self._idle) > _REMEMBERED:
                self._idle.popitem(last=False)

    def first_waiting(self) -> list[int]:
        """Of each request the sentence that is to be seated next: never a later one before an earlier one."""
        return [request.waiting[0][1] for request in self._requests.values() if request.waiting]
