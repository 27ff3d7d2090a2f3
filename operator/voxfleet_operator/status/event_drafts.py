"""What an Event of a resource says, before it is written, and which reasons Events have beside those of conditions.

docs/conditions.md is made from the table. Does not know when which Event is made (events.py), nor its name and count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_NOTE_BYTES = 1024  # the API server's limit
WAKE, SLEEP, REPORT = "Wake", "Sleep", "Report"  # an Event's field `action`


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An Event without name, time and count.

    `occurrence`: identifies the one occurrence in the resource's life that it describes, such as the start of a wake:
    a later draft with the same value amends the Event. Empty: a repeated message raises the Event's count.
    `at`: when it happened; None: now.
    """

    reason: str
    message: str
    action: str = REPORT
    is_warning: bool = False
    region: str = ""
    occurrence: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class EventReason:
    """A reason's type, when such an Event is made, and what its message has."""

    type: str
    meaning: str


EVENTS: Final[Mapping[str, EventReason]] = {
    "Waking": EventReason(
        "Normal; Warning when a region lost its last ready server",
        "a region begins to wake: the message says what for, minReplicas or demand, and which gateway or command asked",
    ),
    "Awake": EventReason(
        "Normal", "a region serves: after how many seconds, and the parts of the wake, the slowest one first"
    ),
    "Asleep": EventReason("Normal", "a region went to sleep: since when it had been idle, or that a user asked for it"),
    "Suspended": EventReason("Normal", "a region has no servers because `suspend` is true"),
    "SpotReclaimed": EventReason(
        "Warning", "the provider took a spot node: which servers are on spot and on demand now"
    ),
}


def bounded(text: str, tail: str = "") -> str:
    """Return text and tail in at most 1,024 bytes of UTF-8; the text is cut, the tail, which has the remedy, is not."""
    room = LONGEST_NOTE_BYTES - len(tail.encode())
    encoded = text.encode()
    if len(encoded) > room:
        text = encoded[: room - len("...")].decode(errors="ignore") + "..."
    return text + tail
