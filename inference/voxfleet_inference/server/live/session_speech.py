"""Speaks the text of a session: its sentences in order, with one voice, as one stream of audio.

Knows: that a cancel ends the current speech while the session, its voice and its audio stream continue.
Does not know: the client's messages, or when a session ends.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace

from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.server.live.channel import Channel
from voxfleet_inference.server.live.live_text import LiveText
from voxfleet_inference.server.responses.output_format import OutputFormat
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_events import SpeechUsage
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech


@dataclass(frozen=True, slots=True)
class Task:
    """What `session.start` has settled."""

    speech: Speech  # without sentences
    output: OutputFormat
    permit: Permit


class SessionSpeech:
    """The speech of one session: a `Speech` per round, where a cancel ends a round and begins the next."""

    def __init__(self, service: SpeechService, task: Task, channel: Channel, text: LiveText) -> None:
        self.usage = SpeechUsage(task.output.speed, keeps_sentences=False)
        self._service, self._task, self._channel, self._text = service, task, channel, text
        self._sample_rate = service.supervisor.model_info.sample_rate
        self._encoder = task.output.encoder(self._sample_rate)
        self._voice: VoicePrompt | None = task.speech.voice
        self._unsent = b""  # kept over a cancelled send, which must not leave a gap in an encoded stream
        self._spoken_samples = 0  # at speed 1
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
            if self._task.output.audio_format.name == "pcm":
                self._unsent = b""  # raw samples may have gaps: send nothing that was cancelled
            await self._channel.send_event("cancelled", at_seconds=self.spoken_seconds)
        await self._send(self._encoder.finish())

    async def cancel(self) -> None:
        """Stop the current speech and drop the waiting text."""
        was_idle = self.is_idle  # before clear(), after which it always is
        self._text.clear()
        self.played_until = 0.0
        if was_idle or self._round is None or not self._round.cancel():
            await self._channel.send_event("cancelled", at_seconds=self.spoken_seconds)

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
        tempo = Tempo(self._task.output.speed, self._sample_rate)
        from_samples = self._spoken_samples
        speaking = self._service.speak(speech, self._task.permit, self._text.sentences(), self._keep_voice)
        async with aclosing(speaking) as events:
            async for event in events:
                await self._take(event, tempo, from_samples)
        await self._send(self._encoder.encode(tempo.finish()))

    async def _take(self, event: SpeechEvent, tempo: Tempo, from_samples: int) -> None:
        self.usage.take(event)
        match event:
            case SentenceStarted():
                self._started += 1
                at_seconds = self.usage.played_at(from_samples / self._sample_rate + event.at_seconds)
                await self._channel.send_event(
                    "sentence.started", index=event.index, text=event.text, at_seconds=at_seconds
                )
            case SpeechAudio():
                self._count_played(len(event.samples))
                await self._send(self._encoder.encode(tempo.convert(event.samples)))
            case SentenceEnded():
                self._ended += 1

    async def _send(self, audio: bytes) -> None:
        self._unsent += audio
        if self._unsent:
            await self._channel.send_audio(self._unsent)
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
