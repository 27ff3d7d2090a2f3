"""A client's messages in order: those that no pod was sent yet, and those that another pod would need again.

Knows: the bounds on both. Does not know: what the messages mean, sockets.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from voxfleet_gateway.server.requests.request_body import Reservation

MAX_MESSAGES = 256


@dataclass(slots=True)
class Backlog:
    """The messages of one session; their bytes count as those of request bodies do."""

    reservation: Reservation
    max_bytes: int
    max_messages: int = MAX_MESSAGES
    waiting: deque[str] = field(default_factory=deque)
    sent: list[str] = field(default_factory=list)  # empty once `is_replayable` is False
    waiting_bytes: int = 0
    sent_bytes: int = 0
    is_replayable: bool = True
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, text: str) -> bool:
        """Append a message; return False when too much waits. Raises RequestRefusedError (503), as a body's bytes."""
        size = len(text.encode())
        if len(self.waiting) >= self.max_messages or self.waiting_bytes + size > self.max_bytes:
            return False
        self.reservation.grow(size)
        self.waiting_bytes += size
        self.waiting.append(text)
        self.arrived.set()
        return True

    def withdraw(self) -> None:
        """Remove the message that was offered last, before anything was awaited."""
        size = len(self.waiting.pop().encode())
        self.waiting_bytes -= size
        self.reservation.shrink(size)

    async def next(self) -> str:
        """Wait for the next message and return it; it is kept while it may have to be sent again."""
        while not self.waiting:
            self.arrived.clear()
            await self.arrived.wait()
        text = self.waiting.popleft()
        size = len(text.encode())
        self.waiting_bytes -= size
        if len(self.sent) >= self.max_messages or self.sent_bytes + size > self.max_bytes:
            self.forget()
        if self.is_replayable:
            self.sent.append(text)
            self.sent_bytes += size
        else:
            self.reservation.shrink(size)
        return text

    def rewind(self) -> None:
        """Let all messages be sent again, to another pod."""
        self.waiting.extendleft(reversed(self.sent))
        self.waiting_bytes += self.sent_bytes
        self.sent, self.sent_bytes = [], 0
        if self.waiting:
            self.arrived.set()

    def take_sent(self) -> None:
        """Leave what was sent so far to the caller, which keeps it: its bytes stay counted."""
        self.sent, self.sent_bytes = [], 0

    def drop_sent(self) -> None:
        """Drop what was sent so far; what is sent from now on is kept."""
        self.reservation.shrink(self.sent_bytes)
        self.sent, self.sent_bytes = [], 0

    def forget(self) -> None:
        """Drop what was sent, and keep nothing further: no other pod can continue the session."""
        self.is_replayable = False
        self.drop_sent()
