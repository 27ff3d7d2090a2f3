"""The token of a request's voices is read from any caller, because only the voice source believes it."""

from __future__ import annotations

import pytest
from voxfleet_inference.admission.callers import ANONYMOUS, Caller, with_voice_token


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ({}, ""),
        ({"voxfleet-voice-token": "12.YS9i.0af="}, "12.YS9i.0af="),
        ({"voxfleet-voice-token": ""}, ""),
        ({"voxfleet-voice-token": "a b"}, ""),
        ({"voxfleet-voice-token": "é"}, ""),
        ({"voxfleet-voice-token": "x" * 513}, ""),
    ],
)
def test_a_token_is_kept_as_it_is_or_not_at_all(given: dict[str, str], token: str) -> None:
    caller = with_voice_token(Caller("ada", 3), given)
    assert (caller.tenant, caller.priority, caller.voice_token) == ("ada", 3, token)


def test_the_token_identifies_nothing_and_is_not_shown() -> None:
    caller = with_voice_token(ANONYMOUS, {"voxfleet-voice-token": "secret"})
    assert caller == ANONYMOUS
    assert "secret" not in repr(caller)
