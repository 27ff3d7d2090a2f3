"""What the speech server sends is measured as the audio that it is, and the server takes the gateway's identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.accounts.api_keys import TENANT_PATTERN
from voxfleet_gateway.decisions.accounts.audio_meter import AudioMeter, Source
from voxfleet_gateway.decisions.accounts.limits import Limits
from voxfleet_gateway.dispatch.target import PRIORITY_HEADER, TENANT_HEADER
from voxfleet_inference.admission.callers import ANONYMOUS, Caller, from_gateway_headers
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.server.speech_events import SpeechUsage, delta_event, done_event
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted

MODEL_RATE, SECONDS = 44_100, 4.0
SPEECH = np.random.default_rng(0).normal(0, 0.1, int(MODEL_RATE * SECONDS)).astype(np.float32)


def chunks_of(response_format: str, sample_rate: int) -> list[bytes]:
    encoder = make_encoder(FORMATS[response_format], MODEL_RATE, sample_rate)
    pieces = [encoder.encode(SPEECH[at : at + 7056]) for at in range(0, len(SPEECH), 7056)]
    return [piece for piece in [*pieces, encoder.finish()] if piece]


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("requested_rate", [None, 16_000])
@pytest.mark.parametrize("is_events", [False, True])
def test_a_response_is_as_long_as_what_was_spoken(
    response_format: str, requested_rate: int | None, *, is_events: bool
) -> None:
    rate = FORMATS[response_format].rate_for(requested_rate, MODEL_RATE)
    meter = AudioMeter(response_format, rate, is_events=is_events, estimated_seconds=99.0)
    for chunk in chunks_of(response_format, rate):
        meter.feed(delta_event(chunk) if is_events else chunk)
    result = meter.result()
    assert result.source is (Source.BYTES if response_format in {"pcm", "wav", "mulaw", "alaw"} else Source.FRAMES)
    # What their encoders add to the ends is sent, and decoded, too.
    added_seconds = {"mp3": 3 * 576 / 8000, "aac": 3 * 1024 / 16_000}.get(response_format, 0.0)
    assert SECONDS - 0.002 <= result.seconds <= SECONDS + 0.002 + added_seconds


@pytest.mark.parametrize("is_cut", [False, True])
def test_events_are_the_seconds_that_were_spoken(*, is_cut: bool) -> None:
    usage = SpeechUsage(speed=2.0)
    ended = SentenceEnded(
        index=0, text='He said: "speech.audio.done".', text_tokens=5, at_seconds=0.0, until_seconds=8.0,
        is_truncated=False, patches=50, attempts=1, trailing_silence_seconds=0.0,
    )  # fmt: skip
    usage.take(SentenceStarted(0, 'He said: "speech.audio.done", "audio": "AAAA".', 0.0))
    usage.take(ended)
    meter = AudioMeter("pcm", 24_000, is_events=True, estimated_seconds=99.0)
    for chunk in chunks_of("pcm", 24_000):
        meter.feed(delta_event(chunk, usage.take_starts()))
    if not is_cut:
        meter.feed(done_event(usage))
    result = meter.result()
    assert result.source is (Source.BYTES if is_cut else Source.SERVER)
    assert result.seconds == pytest.approx(SECONDS, rel=0.01)


@given(st.from_regex(TENANT_PATTERN, fullmatch=True), st.integers(-100, 100))
def test_the_server_takes_every_tenant_and_priority(tenant: str, priority: int) -> None:
    priority = Limits(priority=priority).priority
    headers = {TENANT_HEADER.lower(): tenant.rstrip("\n"), PRIORITY_HEADER.lower(): str(priority)}
    assert from_gateway_headers(ANONYMOUS, headers) == Caller(tenant.rstrip("\n"), priority)
