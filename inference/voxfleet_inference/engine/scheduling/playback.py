"""How far a listener is ahead: the arithmetic of playback slack.

Knows: patches made of each sentence of one request, when the first one left, and that a player which ran dry waits.
Does not know: clocks (moments are arguments), what a patch contains or who decides what.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_KEPT_SENTENCES: Final = 32  # older ones are counted together: nobody says them again
_TOLERANCE_SECONDS: Final = 0.001  # of silence; sums of floats are not exact


@dataclass(slots=True)
class Playback:
    """The player of one request's audio, as well as it can be known from here."""

    patch_seconds: float  # how long one patch plays; speed counts
    started_at: float | None = None  # when its first audio left
    _made: dict[int, int] = field(default_factory=dict)  # patches by the sentence's rank

    def slack(self, rank: int, now: float, in_flight: int = 0) -> float:
        """Seconds until the listener needs the next patch of the sentence at `rank`.

        That is the audio in front of that patch minus the time since the first audio; patches in flight are as good
        as made. A request without audio has none to lose.
        """
        if self.started_at is None:
            return in_flight * self.patch_seconds
        in_front = sum(patches for at, patches in self._made.items() if at <= rank) + in_flight
        return in_front * self.patch_seconds - (now - self.started_at)

    def patch_sent(self, rank: int, now: float, *, is_next_played: bool) -> bool:
        """Count a patch; whether the player had run dry and waited for it.

        Sentences behind the one that is heard neither start the player nor keep it waiting.
        """
        ran_dry = False
        if is_next_played and self.started_at is None:
            self.started_at = now
        elif is_next_played and (slack := self.slack(rank, now)) < -_TOLERANCE_SECONDS:
            self.wait(-slack)
            ran_dry = True
        self._made[rank] = self._made.get(rank, 0) + 1
        if len(self._made) > _KEPT_SENTENCES:
            self._join_oldest()
        return ran_dry

    def text_arrived(self, rank: int, now: float) -> None:
        """More to say after a time without: that the player had played everything was nobody's fault."""
        self.wait(max(0.0, -self.slack(rank, now)))

    def has_at_least(self, patches: int, rank: int, now: float) -> None:
        """So many patches are there and not played: if the clock says less, the player stood still meanwhile."""
        self.wait(max(0.0, patches * self.patch_seconds - self.slack(rank, now)))

    def wait(self, seconds: float) -> None:
        """The player stood still for so long."""
        if self.started_at is not None:
            self.started_at += seconds

    def restart_sentence(self, rank: int) -> None:
        """The sentence starts over, so what was made of it does not count; nobody has heard it."""
        self._made.pop(rank, None)
        if not self._made:
            self.started_at = None

    def _join_oldest(self) -> None:
        oldest, second, *_ = sorted(self._made)
        self._made[second] += self._made.pop(oldest)
