"""What a session needs of the connection to its client: one implementation per protocol.

Knows: that messages and audio go out in the order of the calls, and that each protocol has its own form for both.
Does not know: any of those forms.
"""

from __future__ import annotations

import enum
from typing import Protocol

from voxfleet_inference.server.live.client_messages import ClientMessage
from voxfleet_inference.server.live.server_messages import ServerMessage


class Ending(enum.Enum):
    """How a session ends, from the server's side."""

    DONE = "all text was spoken, after `session.done`"
    GOING_AWAY = "after `session.done`, because the server drains: the text that it had received was spoken"
    IDLE = "after `error` `session_idle`: no message and no audio left to send for `--session-idle-seconds`"
    REVOKED = "after `error` `invalid_api_key`: the client's key is no longer valid"
    FAILED = "after `error`: the engine failed"
    TRY_LATER = "after `error` with `retry_after_seconds`: a limit is reached"


class Transport(Protocol):
    """One connection; every method raises ClientLeftError when the client is gone."""

    async def receive(self) -> ClientMessage:
        """Return the client's next message; may be cancelled without losing one.

        Raises:
            InvalidFieldError: what came is no valid message; the next call goes on after it.
        """

    async def send(self, message: ServerMessage) -> None:
        """Send a message.

        Raises:
            SlowClientError: the client takes nothing for `slow_client_seconds`; so do the other methods.
        """

    async def send_audio(self, audio: bytes) -> None:
        """Send the next bytes of the session's audio; returns once there is room for more."""

    async def close(self, ending: Ending) -> None:
        """End the connection after everything that was sent."""
