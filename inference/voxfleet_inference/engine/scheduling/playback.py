"""An estimate of how far ahead of its client a request is: the arithmetic of playback slack.

Slack is the audio that the client has and has not played yet, in seconds. The engine sees no player, so it assumes one
that starts with the first patch, plays without a pause, and waits whenever its buffer is empty.

Knows: the patches made of each sentence, when the first one left, and that a player with an empty buffer waits.
Does not know: clocks (moments are arguments), what a patch contains, or what is decided by slack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# Older sentences are counted together, so a long request keeps little memory. Those are never retried.
_MAX_COUNTED_SENTENCES: Final = 32
_TOLERANCE_SECONDS: Final = 0.001  # sums of floats are not exact


@dataclass(slots=True)
class Playback:
    """The assumed player of one request's audio."""

    patch_seconds: float  # playback time of one patch, at the request's speed
    started_at: float | None = None  # monotonic second at which the first audio left
    _made: dict[int, int] = field(default_factory=dict)  # patches by the sentence's rank

    def slack(self, rank: int, now: float, in_flight: int = 0) -> float:
        """Seconds until the client needs the next patch of the sentence at `rank`.

        That is the audio before that patch minus the time since the first audio. Patches in flight count as made. A
        request without audio has no slack to lose.
        """
        if self.started_at is None:
            return in_flight * self.patch_seconds
        in_front = sum(patches for at, patches in self._made.items() if at <= rank) + in_flight
        return in_front * self.patch_seconds - (now - self.started_at)

    def patch_sent(self, rank: int, now: float, *, is_next_played: bool) -> bool:
        """Count a patch; returns whether the player's buffer was empty, an underrun.

        Sentences after the one that is played neither start the player nor keep it waiting.
        """
        is_underrun = False
        if is_next_played and self.started_at is None:
            self.started_at = now
        elif is_next_played and (slack := self.slack(rank, now)) < -_TOLERANCE_SECONDS:
            self.wait(-slack)
            is_underrun = True
        self._made[rank] = self._made.get(rank, 0) + 1
        if len(self._made) > _MAX_COUNTED_SENTENCES:
            self._join_oldest()
        return is_underrun

    def text_arrived(self, rank: int, now: float) -> None:
        """Count new text after a time without: idle time before it is no underrun."""
        self.wait(max(0.0, -self.slack(rank, now)))

    def has_at_least(self, patches: int, rank: int, now: float) -> None:
        """Correct the slack: the client has `patches` that are not played, so the player must have waited."""
        self.wait(max(0.0, patches * self.patch_seconds - self.slack(rank, now)))

    def wait(self, seconds: float) -> None:
        """Count a pause of the player, by a later start."""
        if self.started_at is not None:
            self.started_at += seconds

    def restart_sentence(self, rank: int) -> None:
        """Drop the patches of a sentence that starts over; none of them was played."""
        self._made.pop(rank, None)
        if not self._made:
            self.started_at = None

    def _join_oldest(self) -> None:
        oldest, second, *_ = sorted(self._made)
        self._made[second] += self._made.pop(oldest)
