"""The patches of one sequence in the HTTP process, as an asynchronous iterator with a bounded buffer.

Knows: when to park and resume the sequence, and how its end becomes an exception.
Does not know: pipes, other sequences or HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxfleet_inference.engine.errors import ERRORS
from voxfleet_inference.engine.messages import Park, Patch, Resume, SequenceEnded


class SequenceStream:
    """The patches of one sequence, in order; closing it before its end cancels the sequence."""

    def __init__(
        self,
        sequence_id: int,
        max_waiting_patches: int,
        send: Callable[[Park | Resume], None],
        forget: Callable[[int], None],
    ) -> None:
        """`send` sends a command to the engine; `forget` drops the stream and cancels its sequence."""
        self._sequence_id = sequence_id
        self._max_waiting_patches = max_waiting_patches
        self._send, self._forget = send, forget
        self._is_parked = False
        self._arrived: asyncio.Queue[Patch | SequenceEnded] = asyncio.Queue()
        self.ended: SequenceEnded | None = None

    def __aiter__(self) -> SequenceStream:
        """Return the stream, which is its own iterator."""
        return self

    async def __anext__(self) -> Patch:
        """Return the next patch.

        Raises:
            EngineError: the sequence failed; the subclass says how (errors.py).
        """
        if self.ended is not None:
            raise StopAsyncIteration
        arrived = await self._arrived.get()
        self._resume_if_drained()
        if isinstance(arrived, Patch):
            return arrived
        self.ended = arrived
        if (error := ERRORS.get(arrived.outcome)) is not None:
            raise error(arrived.message)
        raise StopAsyncIteration

    def put(self, report: Patch | SequenceEnded) -> None:
        """Add a report from the engine; a full buffer parks the sequence."""
        self._arrived.put_nowait(report)
        is_full = isinstance(report, Patch) and self._arrived.qsize() >= self._max_waiting_patches
        if is_full and not self._is_parked:
            self._is_parked = True
            self._send(Park(self._sequence_id))

    def close(self) -> None:
        """Cancel the sequence unless it has ended."""
        self._forget(self._sequence_id)

    def _resume_if_drained(self) -> None:
        # At half, so that a client that reads at playback speed does not park and resume with every patch.
        if self._is_parked and self._arrived.qsize() <= self._max_waiting_patches // 2:
            self._is_parked = False
            self._send(Resume(self._sequence_id, self._arrived.qsize()))
