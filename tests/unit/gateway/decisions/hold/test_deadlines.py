"""A request is held as long as its client waits, whatever the client is and whatever it sends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from voxfleet_gateway.decisions.hold.deadlines import READ_TIMEOUT_HEADERS, hold_seconds

HOLD_SECONDS = 600.0  # of the resource
DEFAULT_SECONDS = 25.0


def held(wants_events: bool = False, most_seconds: float = HOLD_SECONDS, **headers: str) -> float:  # noqa: FBT001, FBT002
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return hold_seconds(named, wants_events=wants_events, default_seconds=DEFAULT_SECONDS, most_seconds=most_seconds)


# (client, asks for events, its headers, its own read timeout in seconds, held)
CLIENTS = [
    ("LiveKit openai.TTS, gpt-4o-mini-tts", True, {"x_stainless_read_timeout": "30"}, math.inf, 600),
    ("LiveKit openai.TTS, tts-1", False, {"x_stainless_read_timeout": "30"}, 30, 25),
    ("LiveKit JS", False, {}, math.inf, 25),
    ("Pipecat OpenAITTSService", False, {"x_stainless_read_timeout": "600"}, 600, 595),
    ("openai-python", False, {"x_stainless_read_timeout": "600", "x_stainless_retry_count": "0"}, 600, 595),
    ("openai-python, timeout=12.5", False, {"x_stainless_read_timeout": "12.5"}, 12.5, 7.5),
    ("openai-node", False, {}, 600, 25),
    ("openai-node, timeout=60000", False, {"X_Stainless_Timeout": "60"}, 60, 55),
    ("Open WebUI", False, {}, math.inf, 25),
    ("Home Assistant, wyoming-openai", False, {"x_stainless_read_timeout": "600"}, 600, 595),
    ("Home Assistant, openai_tts", False, {}, 30, 25),
    ("curl", False, {}, math.inf, 25),
    ("a client that knows how long wakes take", False, {"Prefer": "wait=120"}, 125, 120),
    ("the same with another preference", False, {"Prefer": "respond-async, wait=120"}, 125, 120),
    ("events, and a shorter wait", True, {"Prefer": "wait=10"}, math.inf, 10),
    ("a client that waits less than an answer takes", False, {"x_stainless_read_timeout": "3"}, 3, 0),
]


@pytest.mark.parametrize(
    ("events", "headers", "timeout_seconds", "expected"), [row[1:] for row in CLIENTS], ids=[row[0] for row in CLIENTS]
)
def test_each_client_is_held_as_long_as_it_waits(
    events: bool,  # noqa: FBT001
    headers: dict[str, str],
    timeout_seconds: float,
    expected: float,
) -> None:
    assert held(events, **headers) == expected
    assert expected < timeout_seconds, "its answer still arrives"


@pytest.mark.parametrize(
    "given_", ["", "-5", "0", "0.0", "nan", "inf", "1e309", "1e3", "0x10", "9" * 400, "600,600", "600 s", "٣٠", "_1"]
)
@pytest.mark.parametrize("name", READ_TIMEOUT_HEADERS)
def test_a_timeout_that_is_no_plain_number_counts_as_none(name: str, given_: str) -> None:
    assert held(**{name.replace("-", "_"): given_}) == DEFAULT_SECONDS


def test_the_largest_timeout_is_held_no_longer_than_the_resource_allows() -> None:
    assert held(x_stainless_read_timeout="999999.999") == HOLD_SECONDS
    assert held(Prefer="wait=999999") == HOLD_SECONDS
    assert held(most_seconds=10) == 10


@given(
    st.dictionaries(st.sampled_from([*READ_TIMEOUT_HEADERS, "Prefer"]), st.text(max_size=12)),
    st.booleans(),
    st.floats(0, 900),
)
def test_whatever_is_sent_the_time_is_within_bounds(
    headers: dict[str, str],
    events: bool,  # noqa: FBT001
    most_seconds: float,
) -> None:
    found = hold_seconds(headers, wants_events=events, default_seconds=DEFAULT_SECONDS, most_seconds=most_seconds)
    assert 0 <= found <= most_seconds
