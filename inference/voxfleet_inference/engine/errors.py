"""What a caller of the engine's client can get instead of audio: one exception for each way.

EngineError                 the sequence failed
├── EngineGoneError         the engine process has ended
├── SequenceExpiredError    the sequence's deadline passed
├── SequenceTooLongError    the sentence needs more than this server has
├── QueueFullError          too many sequences wait
├── VoiceError              the recording cannot be encoded
└── VoiceBusyError          too many recordings are queued
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from voxfleet_inference.engine.messages import Outcome


class EngineError(Exception):
    """The engine could not do what was asked; the request ends."""


class EngineGoneError(EngineError):
    """The engine process has ended."""


class SequenceExpiredError(EngineError):
    """The sentence was not spoken within its deadline."""


class SequenceTooLongError(EngineError):
    """The sentence needs more than this server has; a later attempt fails too."""


class QueueFullError(EngineError):
    """Too many sentences wait; a later attempt may succeed."""


class VoiceError(EngineError):
    """A recording could not be encoded into a voice."""


class VoiceBusyError(EngineError):
    """Too many recordings are queued; a later attempt may succeed."""


# An outcome that is not listed ends a stream without an error.
ERRORS: Final[Mapping[Outcome, type[EngineError]]] = {
    Outcome.FAILED: EngineError,
    Outcome.EXPIRED: SequenceExpiredError,
    Outcome.TOO_LONG: SequenceTooLongError,
    Outcome.QUEUE_FULL: QueueFullError,
}
