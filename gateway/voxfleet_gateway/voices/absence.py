"""Decides what a gateway may believe of its own folder after it was away. Pure.

Gateways remember a deletion for 30 days. One that was away for longer cannot know what was deleted meanwhile, and must
not bring it back: it offers nothing until another gateway, which was there all the time, has named what still exists.
Knows: spans of time. Does not know: clocks, files, how gateways are asked.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from voxfleet_gateway.voices.file_format import VoiceHeader, VoiceKey
from voxfleet_gateway.voices.index import DELETION_MICROSECONDS

PATIENCE_PASSES = 6  # comparisons with all gateways; if none of them was there, nothing was deleted there


@dataclass(frozen=True, slots=True)
class Presence:
    """Since when a folder has missed no deletion, and while that is unsure, when its gateway was there last."""

    since: int  # microseconds
    away_since: int | None = None
    passes: int = 0  # comparisons since its return

    def after_pass(self, now: int) -> "Presence":
        """Return what holds after a comparison with every gateway that responds: in the end its folder is believed."""
        if self.away_since is None or self.passes + 1 < PATIENCE_PASSES:
            return replace(self, passes=self.passes + 1)
        return Presence(since=now)  # it cannot vouch for the time before

    def vouched(self, their_since: int) -> "Presence":
        """Return what holds once everything of a gateway was taken over that has missed no deletion since then."""
        return Presence(since=min(self.since, their_since))

    def may_believe(self, their_since: int) -> bool:
        """Whether that gateway was there all the time that this one was away."""
        return self.away_since is not None and 0 < their_since <= self.away_since


def returning(since: int, last_there: int, now: int) -> Presence:
    """Return what a gateway that starts may believe of a folder that was used before."""
    is_away = now - last_there > DELETION_MICROSECONDS
    return Presence(since, last_there if is_away else None)


def unconfirmed(ours: Iterable[VoiceHeader], theirs: Collection[VoiceKey], away_since: int) -> list[VoiceHeader]:
    """Return the voices that were deleted meanwhile, as far as can be known: made before, and not there any more."""
    return [each for each in ours if not each.is_deleted and each.version < away_since and each.key not in theirs]
