from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.errors import EngineError, QueueFullError
from voxfleet_inference.engine.messages import Outcome, Patch, Sentence, SequenceEnded, SequenceParams, VoicePrompt
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio
from voxfleet_inference.speech.speaking import Speech, speak
from voxfleet_inference.text.sentences import TextSentence, split

RATE = 1000
PATCH = 160
TEXT = "The first sentence. Then the second one! And is this the third?"
VOICE = VoicePrompt("a voice", np.zeros((3, 2, 2), np.float32))
Script = Callable[[Sentence], int]


@dataclass
class ScriptedStream:
    """Gives as many patches as the script says, whenever the engine lets it."""

    engine: ScriptedEngine
    sentence: Sentence
    patches: int
    made: int = 0
    ended: SequenceEnded | None = None

    def __aiter__(self) -> ScriptedStream:
        return self

    async def __anext__(self) -> Patch:
        await self.engine.go.wait()
        await asyncio.sleep(0)
        if self.patches < 0:
            raise EngineError("no such luck")
        if self.engine.is_full_for_retries and self.sentence.attempt:
            raise QueueFullError("the queue is full")
        if self.made == self.patches:
            self.ended = SequenceEnded(1, Outcome.FINISHED, "", self.patches, len(self.sentence.text.split()))
            raise StopAsyncIteration
        self.made += 1
        value = 0.5 + 0.01 * self.sentence.sentence_index + 0.001 * self.sentence.attempt
        is_truncated = self.engine.truncates and self.made == self.patches
        return Patch(1, np.full((2, 2), self.made, np.float32), np.full(PATCH, value, np.float32), is_truncated)

    def close(self) -> None:
        self.engine.open.discard(id(self))


@dataclass
class ScriptedEngine:
    """An engine that follows a script; keeps what it was submitted for."""

    script: Script = lambda _: 3
    truncates: bool = False
    is_full_for_retries: bool = False  # no second attempt finds room
    submitted: list[Sentence] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    streams: list[ScriptedStream] = field(default_factory=list)
    most_open: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def speak(self, sentence: Sentence, max_waiting_patches: int) -> ScriptedStream:
        assert max_waiting_patches > 0
        stream = ScriptedStream(self, sentence, self.script(sentence))
        self.submitted.append(sentence)
        self.streams.append(stream)  # kept, so that an id is never given twice
        self.open.add(id(stream))
        self.most_open = max(self.most_open, len(self.open))
        return stream

    def new_request_id(self) -> int:
        return 77


@pytest.fixture
def engine() -> ScriptedEngine:
    made = ScriptedEngine()
    made.go.set()
    return made


def speech(**changes: Any) -> Speech:
    plain = {"sentences": split(TEXT), "seed": 1, "cfg_value": 2.0, "inference_timesteps": 10, "voice": VOICE}
    return Speech(**{**plain, **changes})


async def events_of(engine: Any, what: Speech, **more: Any) -> list[Any]:
    async with aclosing(speak(engine, what, RATE, **more)) as events:
        return [event async for event in events]


def audio_of(events: list[Any]) -> Any:
    return np.concatenate([event.samples for event in events if isinstance(event, SpeechAudio)])


@pytest.mark.parametrize("parallel", [1, 2, 8])
async def test_sentences_come_in_order_with_their_times_and_pauses(engine: ScriptedEngine, parallel: int) -> None:
    events = await events_of(engine, speech(max_parallel_sentences=parallel))
    started = [event for event in events if isinstance(event, SentenceStarted)]
    ended = [event for event in events if isinstance(event, SentenceEnded)]
    assert [event.text for event in started] == [each.text for each in split(TEXT)]
    assert [(event.index, event.patches, event.attempts, event.is_truncated) for event in ended] == [
        (0, 3, 1, False),
        (1, 3, 1, False),
        (2, 3, 1, False),
    ]
    pauses = [0.35, 0.4]
    for one, following, pause in zip(ended[:-1], started[1:], pauses, strict=True):
        assert one.until_seconds - one.at_seconds == pytest.approx(0.48)
        assert following.at_seconds - one.until_seconds == pytest.approx(pause)
    assert len(audio_of(events)) == round((3 * 0.48 + sum(pauses)) * RATE)
    assert engine.most_open <= parallel
    assert {sentence.params.request_id for sentence in engine.submitted} == {77}
    assert engine.open == set()


async def test_no_sentence_of_a_single_speaker_waits_for_another_to_become_its_voice(engine: ScriptedEngine) -> None:
    engine.go.clear()
    voices: list[VoicePrompt] = []
    what = speech(voice=None, single_speaker=True, max_parallel_sentences=3)
    speaking = asyncio.create_task(events_of(engine, what, on_voice=voices.append))
    while len(engine.submitted) < 3:  # noqa: ASYNC110 - a test watches from outside
        await asyncio.sleep(0.001)
    engine.go.set()
    await speaking
    assert [sentence.prompt for sentence in engine.submitted] == [None, None, None]
    assert voices == []


async def test_the_order_of_events(engine: ScriptedEngine) -> None:
    events = await events_of(engine, speech())
    kinds = [(type(event).__name__, getattr(event, "patches", None), event.index) for event in events]
    assert kinds[:6] == [
        ("SentenceStarted", None, 0),
        *[("SpeechAudio", 1, 0)] * 3,
        ("SentenceEnded", 3, 0),
        ("SpeechAudio", 0, 0),
    ]
    assert kinds[-1][0] == "SentenceEnded"


async def test_silence_in_the_models_audio_counts_as_pause() -> None:
    quiet = ScriptedEngine()
    quiet.go.set()

    class Fading(ScriptedStream):
        async def __anext__(self) -> Patch:
            patch = await super().__anext__()
            return Patch(1, patch.latents, patch.samples * (0.0 if self.made > 1 else 1.0))

    quiet.speak = lambda sentence, _: Fading(quiet, sentence, 3)
    events = await events_of(quiet, speech())
    assert [event.trailing_silence_seconds for event in events if isinstance(event, SentenceEnded)] == [0.32] * 3
    assert [len(event.samples) for event in events if isinstance(event, SpeechAudio) and not event.patches] == [30, 80]


async def test_closing_the_generator_cancels_all_sentences(engine: ScriptedEngine) -> None:
    events = speak(engine, speech(max_parallel_sentences=3), RATE)
    async for event in events:
        if isinstance(event, SpeechAudio):
            break
    assert len(engine.open) == 3
    await events.aclose()
    assert engine.open == set()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_cancel_before_the_first_patch_cancels_all_sentences(engine: ScriptedEngine) -> None:
    engine.go.clear()
    waiting = asyncio.create_task(events_of(engine, speech(max_parallel_sentences=3)))
    while len(engine.open) < 3:  # noqa: ASYNC110 - a test watches from outside
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.open == set()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_without_a_voice_the_first_sentence_decodes_alone_and_becomes_the_voice(engine: ScriptedEngine) -> None:
    voices: list[VoicePrompt] = []
    await events_of(engine, speech(voice=None, max_parallel_sentences=8), on_voice=voices.append)
    assert engine.submitted[0].prompt is None
    first = split(TEXT)[0].text
    assert all(each.prompt is not None and each.prompt.text == first for each in engine.submitted[1:])
    assert voices[0].latents[:, 0, 0].tolist() == [1, 2, 3]
    assert len(voices) == 1
    assert engine.most_open <= 3


async def test_a_runaway_first_sentence_that_was_sent_becomes_a_voice_only_within_the_time_of_its_text(
    engine: ScriptedEngine,
) -> None:
    engine.script = lambda each: 3 if each.sentence_index else 25
    voices: list[VoicePrompt] = []
    sentences = (TextSentence("only four words here"), TextSentence("and the next one"))
    events = await events_of(engine, speech(voice=None, sentences=sentences), on_voice=voices.append)
    assert [each.attempt for each in engine.submitted] == [0, 0]
    assert [event.patches for event in events if isinstance(event, SentenceEnded)] == [25, 3]
    assert voices[0].latents[:, 0, 0].tolist() == list(range(1, 13))  # three for each token
    assert engine.submitted[1].prompt is not None
    assert len(engine.submitted[1].prompt.latents) == 12


async def test_on_voice_is_called_even_for_a_single_sentence(engine: ScriptedEngine) -> None:
    voices: list[VoicePrompt] = []
    await events_of(engine, speech(voice=None, sentences=split("Only one sentence.")), on_voice=voices.append)
    assert [voice.text for voice in voices] == ["Only one sentence."]


async def test_live_sentences_continue_the_indices(engine: ScriptedEngine) -> None:
    async def more() -> AsyncIterator[TextSentence]:
        for text in ("One more.", "And another."):
            await asyncio.sleep(0.001)
            yield TextSentence(text)

    events = await events_of(engine, speech(sentences=(), first_index=5), more=more())
    assert [event.index for event in events if isinstance(event, SentenceStarted)] == [5, 6]
    assert [each.sentence_index for each in engine.submitted] == [5, 6]


async def test_live_text_is_normalized_without_its_markdown(engine: ScriptedEngine) -> None:
    async def more() -> AsyncIterator[TextSentence]:
        yield TextSentence("It costs **$3.50** today. \U0001f600")

    events = await events_of(engine, speech(sentences=(), normalizes=True), more=more())
    assert [each.text for each in engine.submitted] == ["It costs three dollars and fifty cents today."]
    assert events[0].text == "It costs **$3.50** today. \U0001f600"


async def test_a_failed_sentence_ends_the_speech_and_frees_the_others(engine: ScriptedEngine) -> None:
    engine.script = lambda sentence: -1 if sentence.sentence_index == 1 else 3
    got: list[Any] = []

    async def listen() -> None:
        async for event in speak(engine, speech(max_parallel_sentences=3), RATE):
            got.append(event)  # noqa: PERF401 - what came before the failure counts

    with pytest.raises(EngineError, match="no such luck"):
        await listen()
    assert [event.index for event in got if isinstance(event, SentenceEnded)] == [0]
    assert engine.open == set()


async def test_a_source_that_fails_ends_the_speech(engine: ScriptedEngine) -> None:
    async def more() -> AsyncIterator[TextSentence]:
        yield TextSentence("A good one.")
        raise ValueError("the source is dry")

    with pytest.raises(ValueError, match="dry"):
        await events_of(engine, speech(sentences=()), more=more())
    assert engine.open == set()


def runaway_once(sentence: Sentence) -> int:
    return 6 * len(sentence.text.split()) if sentence.attempt == 0 else 3


async def test_a_whole_speech_retries_a_runaway(engine: ScriptedEngine) -> None:
    engine.script = runaway_once
    events = await events_of(engine, speech(is_whole=True))
    assert Counter(each.sentence_index for each in engine.submitted) == {0: 2, 1: 2, 2: 2}
    assert [(event.attempts, event.patches) for event in events if isinstance(event, SentenceEnded)] == [(2, 3)] * 3
    spoken = audio_of(events)
    assert {round(float(each), 3) for each in np.unique(spoken)} == {0.0, 0.501, 0.511, 0.521}  # second attempts alone
    assert {each.params.rank for each in engine.submitted} == {0, 1, 2}


async def test_a_sentence_has_three_attempts_at_most(engine: ScriptedEngine) -> None:
    engine.script = lambda _: 100
    await events_of(engine, speech(is_whole=True, sentences=split("Only one sentence.")))
    assert [each.attempt for each in engine.submitted] == [0, 1, 2]


async def test_a_retry_without_room_fails_instead_of_sending_other_audio(engine: ScriptedEngine) -> None:
    engine.script, engine.is_full_for_retries = lambda _: 18, True
    with pytest.raises(QueueFullError):
        await events_of(engine, speech(is_whole=True, sentences=split("Only one sentence.")))
    assert [each.attempt for each in engine.submitted] == [0, 1]
    assert engine.open == set()


@pytest.mark.parametrize("runaway", [0, 1, 2])
@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("client_waits", [False, True])
@pytest.mark.parametrize("is_whole", [False, True])
async def test_the_request_alone_decides_what_is_retried(
    engine: ScriptedEngine, runaway: int, parallel: int, *, client_waits: bool, is_whole: bool
) -> None:
    """A client that waits lets every sentence end before the second one is sent."""
    engine.script = lambda each: 18 if each.sentence_index == runaway and each.attempt == 0 else 3
    sentences = tuple(TextSentence(text) for text in ("just three words", "and three more", "then the last"))
    what = speech(sentences=sentences, max_parallel_sentences=parallel, is_whole=is_whole)
    ended = []
    async with aclosing(speak(engine, what, RATE)) as events:
        async for event in events:
            for _ in range(200 if client_waits else 0):
                await asyncio.sleep(0)
            ended += [event] if isinstance(event, SentenceEnded) else []
    retried = [2 if is_whole and each == runaway else 1 for each in range(3)]
    assert [event.attempts for event in ended] == retried
    assert [event.patches for event in ended] == [18 if each == runaway and not is_whole else 3 for each in range(3)]


async def test_the_voices_own_patches_count_as_the_reference_counts_them(engine: ScriptedEngine) -> None:
    engine.script = lambda each: 16 if each.attempt == 0 else 3
    three_words = split("Three short words")
    await events_of(engine, speech(is_whole=True, sentences=three_words))
    assert len(engine.submitted) == 2  # 16 and 2 of the voice's are 18: six for each token
    engine.submitted.clear()
    await events_of(engine, speech(is_whole=True, sentences=three_words, voice=None))
    assert len(engine.submitted) == 1


async def test_a_truncated_sentence_fades_out_and_is_marked(engine: ScriptedEngine) -> None:
    engine.truncates = True
    events = await events_of(engine, speech(sentences=split("Only one sentence.")))
    assert events[-1].is_truncated
    spoken = audio_of(events)
    assert spoken[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(spoken[-10:]) < 0)  # 10 ms at 1 kHz
    assert np.all(spoken[:-10] == np.float32(0.5))


async def test_a_slow_client_bounds_the_patches_made_ahead(engine: ScriptedEngine) -> None:
    engine.script = lambda _: 500
    events = speak(engine, speech(max_parallel_sentences=2, max_buffered_patches=5), RATE)
    await anext(events)
    for _ in range(300):
        await asyncio.sleep(0)
    assert max(stream.made for stream in engine.streams) <= 8
    await events.aclose()


async def test_a_deadline_counts_from_the_request_not_from_the_sentence(engine: ScriptedEngine) -> None:
    async def more() -> AsyncIterator[TextSentence]:
        yield TextSentence("At once.")
        await asyncio.sleep(0.05)
        yield TextSentence("A little later.")

    await events_of(engine, speech(sentences=(), params=SequenceParams(deadline_seconds=60.0)), more=more())
    first, second = (each.params.deadline_seconds for each in engine.submitted)
    assert first is not None
    assert second is not None
    assert second <= first - 0.04
