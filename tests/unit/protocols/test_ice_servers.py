from __future__ import annotations

import json
import re
from typing import Any

import pytest
from voxfleet_protocols.ice_servers import checked_ice_servers, parse_ice_servers

TURN = {"urls": "turn:turn.example.com:3478?transport=tcp", "username": "ada", "credential": "secret"}


def test_servers_are_passed_on_as_a_browser_takes_them() -> None:
    given = [{"urls": ["stun:stun.example.com", "stun:[2001:db8::1]:3478"]}, TURN]
    text = json.dumps(given)
    assert checked_ice_servers(text) == text
    assert parse_ice_servers(text) == [given[0], {**TURN, "urls": [TURN["urls"]]}]
    assert parse_ice_servers(" ") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("stun:stun.example.com", "must be a JSON list"),
        ('{"urls": "stun:a"}', "must be a JSON list"),
        ([{"urls": "stun:a"}] * 9, "at most 8"),
        (TURN, "given an object of credential, urls, username"),
        ("[" * 100_000, "must be a JSON list"),
        ([{**TURN, "username": ["ada"]}], "must be an object of credential, urls, username"),
        ([{"urls": "turn:ada:secret@turn.example.com"}], "'turn.example.com' is no URI"),
        (["stun:a"], "given no object"),
        ([{}], "must have 'urls'"),
        ([{"urls": []}], "must have 'urls'"),
        ([{"urls": "stun:a", "password": "secret"}], "given an object of password, urls"),
        ([{"urls": 3}], "must be an object of credential, urls, username"),
        ([{"urls": "http://a"}], "'http://a' is no URI of a STUN or TURN server"),
        ([{"urls": "stun:a:99999"}], "has port 99999; it must be 1 to 65535"),
        ([{"urls": "stun:a?transport=udp"}], "has transport udp"),
        ([{**TURN, "urls": "turn:a?transport=sctp"}], "has transport sctp; it must be udp or tcp"),
        ([{"urls": "turns:a", "username": "ada"}], "must have 'username' and 'credential'"),
    ],
)
def test_what_is_wrong_is_named_and_no_credential_quoted(given: Any, said: str) -> None:
    text = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(ValueError, match=re.escape(said)) as wrong:
        checked_ice_servers(text)
    assert "secret" not in str(wrong.value)
