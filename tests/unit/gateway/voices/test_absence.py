"""After a long absence a gateway believes its folder only once it knows what was deleted, or that nothing was."""

import pytest
from voxfleet_gateway.voices.absence import PATIENCE_PASSES, Presence, returning, unconfirmed
from voxfleet_gateway.voices.file_format import VoiceHeader
from voxfleet_gateway.voices.index import DELETION_MICROSECONDS

NOW = 100 * DELETION_MICROSECONDS
LONG_AGO = NOW - 2 * DELETION_MICROSECONDS
ONE, TWO, THREE = (f"voice_{digit * 32}" for digit in "123")


@pytest.mark.parametrize(
    ("last_there", "away_since"),
    [
        (NOW, None),
        (NOW - DELETION_MICROSECONDS, None),
        (NOW - DELETION_MICROSECONDS - 1, NOW - DELETION_MICROSECONDS - 1),
    ],
)
def test_a_gateway_was_away_when_deletions_may_have_been_forgotten(last_there: int, away_since: int | None) -> None:
    assert returning(5, last_there, NOW) == Presence(5, away_since)


def test_only_a_gateway_that_was_there_all_the_time_is_believed() -> None:
    presence = Presence(since=1, away_since=LONG_AGO)
    assert presence.may_believe(LONG_AGO)
    assert not presence.may_believe(LONG_AGO + 1)
    assert not presence.may_believe(0)  # it does not say
    assert not Presence(since=1).may_believe(1)


def test_what_was_taken_over_whole_vouches_for_the_time_before() -> None:
    assert Presence(since=NOW).vouched(LONG_AGO).since == LONG_AGO  # a new folder, filled by an old gateway
    assert Presence(since=LONG_AGO).vouched(NOW).since == LONG_AGO


def test_without_such_a_gateway_the_folder_is_believed_in_the_end_and_vouches_for_nothing_before() -> None:
    presence = Presence(since=1, away_since=LONG_AGO)
    for _ in range(PATIENCE_PASSES - 1):
        presence = presence.after_pass(NOW)
        assert presence.away_since == LONG_AGO
    assert presence.after_pass(NOW) == Presence(since=NOW)
    assert Presence(since=1).after_pass(NOW).since == 1


def test_what_was_made_before_and_is_nowhere_else_was_deleted() -> None:
    ours = [
        VoiceHeader(id=ONE, version=LONG_AGO - 1),
        VoiceHeader(id=TWO, version=LONG_AGO - 1),
        VoiceHeader(id=THREE, version=LONG_AGO + 1),
        VoiceHeader(id=ONE, tenant="a", version=1, is_deleted=True),
    ]
    assert unconfirmed(ours, {("", TWO)}, LONG_AGO) == ours[:1]
