"""Speaks the text of a session: its sentences in order, with one voice, as one stream of audio.

Knows: that a cancel ends the current speech while the session, its voice and its audio stream continue.
Does not know: the client's messages, the connection that carries them, or when a session ends.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace

from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.server.live.live_text import LiveText
from voxfleet_inference.server.live.server_messages import Cancelled, Flushed, SentenceStart, SentenceTimestamps
from voxfleet_inference.server.live.transport import Transport
from voxfleet_inference.server.responses.output_format import OutputFormat
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_events import SpeechUsage
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech
from voxfleet_inference.speech.words.sentence_words import WordFinder


@dataclass(frozen=True, slots=True)
class Task:
    """What `session.start` has settled."""

    speech: Speech  # without sentences
    output: OutputFormat
    permit: Permit
    has_words: bool = False  # whether the client is sent when each word is spoken


@dataclass(frozen=True, slots=True)
class _Round:
    """What lies between two cancels."""

    from_samples: int
    words: WordFinder | None


class SessionSpeech:
    """The speech of one session: a `Speech` per round, where a cancel ends a round and begins the next."""

    def __init__(self, service: SpeechService, task: Task, transport: Transport, text: LiveText) -> None:
        self.usage = SpeechUsage(task.output.speed, keeps_sentences=False)
        self._service, self._task, self._transport, self._text = service, task, transport, text
        self._sample_rate = service.supervisor.model_info.sample_rate
        self._tempo, self._encoder = self._new_tempo(), task.output.encoder(self._sample_rate)
        self._voice: VoicePrompt | None = task.speech.voice
        self._unsent = b""  # kept over a cancelled send, which must not leave a gap in an encoded stream
        self._spoken_samples = 0  # at speed 1
        self._drained_samples = 0  # of them, those of which filters hold nothing back
        self._started = 0  # sentences, in the whole session
        self._taken, self._ended = 0, 0  # sentences: taken before this round, and ended in it
        self._round: asyncio.Task[None] | None = None
        self.played_until = 0.0  # on the event loop's clock, for a client that plays without delay

    @property
    def is_idle(self) -> bool:
        """Whether every complete sentence has been spoken."""
        return not self._text.has_sentences and self._text.sentences_taken - self._taken == self._ended

    @property
    def spoken_seconds(self) -> float:
        """The length of the audio so far, at the session's speed."""
        return self.usage.played_at(self._spoken_samples / self._sample_rate)

    async def run(self) -> None:
        """Speak until the text has ended.

        Raises:
            EngineError: a sentence failed.
        """
        while not await self._speak_round():
            if self._is_raw:  # it may have gaps: send nothing that was cancelled
                self._unsent, self._encoder = b"", self._task.output.encoder(self._sample_rate)
            await self._transport.send(Cancelled(self.spoken_seconds))
        await self._send(self._encoder.finish())

    async def cancel(self) -> None:
        """Stop the current speech and drop the waiting text."""
        was_idle = self.is_idle  # before clear(), after which it always is
        self._text.clear()
        self.played_until = 0.0
        if was_idle or self._round is None or not self._round.cancel():
            await self._transport.send(Cancelled(self.spoken_seconds))

    async def report_flushed(self) -> None:
        """Send `flushed` for every flush whose text was spoken; also called when a flush finds nothing to speak."""
        await self._send_flushed(await self._finished_flushes())

    async def _speak_round(self) -> bool:
        """Speak until the text has ended (True), or until cancelled (False)."""
        self._taken, self._ended = self._text.sentences_taken, 0
        self._round = asyncio.create_task(self._speak())
        try:
            await asyncio.wait({self._round})
        finally:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        if self._round.cancelled():
            return False
        self._round.result()
        return True

    async def _speak(self) -> None:
        speech = replace(self._task.speech, voice=self._voice, first_index=self._started)
        current = self._new_round()
        speaking = self._service.speak(speech, self._task.permit, self._text.sentences(), self._keep_voice)
        async with aclosing(speaking) as events:
            async for event in events:
                await self._take(event, current)
        await self._send(self._encoder.encode(self._tempo.finish()))

    def _new_round(self) -> _Round:
        self._tempo, from_samples = self._new_tempo(), self._spoken_samples

        def played_at(seconds: float) -> float:
            return self.usage.played_at(from_samples / self._sample_rate + seconds)

        words = WordFinder(self._sample_rate, played_at) if self._task.has_words else None
        return _Round(from_samples, words)

    def _new_tempo(self) -> Tempo:
        return Tempo(self._task.output.speed, self._sample_rate)

    async def _take(self, event: SpeechEvent, current: _Round) -> None:
        self.usage.take(event)
        words = None if current.words is None else current.words.take(event)
        match event:
            case SentenceStarted():
                self._started += 1
                at_seconds = self.usage.played_at(current.from_samples / self._sample_rate + event.at_seconds)
                await self._transport.send(SentenceStart(event.index, event.text, at_seconds))
            case SpeechAudio():
                self._count_played(len(event.samples))
                await self._send(self._encoder.encode(self._tempo.convert(event.samples)))
            case SentenceEnded():
                self._ended += 1
                flushes = await self._finished_flushes()
                if words is not None:
                    await self._transport.send(SentenceTimestamps(**asdict(words)))
                await self._send_flushed(flushes)

    async def _finished_flushes(self) -> int:
        """Return how many flushes are done, after all audio of their text was sent."""
        flushes = self._text.flushed_by(self._taken + self._ended)
        if flushes:
            await self._drain()
        return flushes

    async def _send_flushed(self, flushes: int) -> None:
        for _ in range(flushes):
            await self._transport.send(Flushed(self.spoken_seconds))

    @property
    def _is_raw(self) -> bool:
        """Whether the format has neither headers nor frames, so that an encoder can go on where another one ended."""
        return self._task.output.audio_format.sample_bytes is not None

    async def _drain(self) -> None:
        """Send what filters hold back: a client that waits for a flush plays no more of its text."""
        if self._drained_samples == self._spoken_samples:
            return
        self._drained_samples = self._spoken_samples
        tail = self._encoder.encode(self._tempo.finish())
        self._tempo = self._new_tempo()
        if self._is_raw:
            tail += self._encoder.finish()
            self._encoder = self._task.output.encoder(self._sample_rate)
        if tail:
            await self._send(tail)

    async def _send(self, audio: bytes) -> None:
        self._unsent += audio
        if self._unsent:
            await self._transport.send_audio(self._unsent)
        self._unsent = b""

    def _count_played(self, samples: int) -> None:
        """Advance `played_until`; the session's first audio also ends its time to first audio."""
        now = asyncio.get_running_loop().time()
        if not self._spoken_samples and self._text.first_sentence_at is not None:
            self._service.tracker.first_audio_sent(now - self._text.first_sentence_at)
        self._spoken_samples += samples
        self.played_until = max(self.played_until, now) + samples / self._sample_rate / self._task.output.speed

    def _keep_voice(self, voice: VoicePrompt) -> None:
        self._voice = voice
