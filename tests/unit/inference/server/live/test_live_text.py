from __future__ import annotations

from voxfleet_inference.server.live.live_text import LiveText


async def sentences_of(text: LiveText) -> list[tuple[float, str]]:
    text.end()
    return [(each.pause_before_seconds, each.text) async for each in text.sentences()]


async def test_text_without_speech_is_skipped() -> None:
    text = LiveText(100)
    text.append("\U0001f600")
    text.flush()
    text.append("Hello there, [pause:1s] all.")
    text.flush()
    assert await sentences_of(text) == [(0, "Hello there, [pause:1s] all.")]


async def test_a_session_that_normalizes_is_split_at_pauses_and_counts_each_part() -> None:
    text = LiveText(100)
    text.has_pauses = True
    for letter in 'Wait [pause:2s] for me, please. <break time="500ms"/> Then we go on.':
        text.append(letter)
    assert await sentences_of(text) == [(0, "Wait"), (2, "for me, please."), (0.5, "Then we go on.")]
    assert text.sentences_taken == 3


async def test_a_cancel_drops_the_pause_that_waits() -> None:
    text = LiveText(100)
    text.has_pauses = True
    text.append("[pause:2s]\n\n")
    text.clear()
    text.append("Then we go on.")
    assert await sentences_of(text) == [(0, "Then we go on.")]
