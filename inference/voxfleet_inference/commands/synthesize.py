"""Speaks one text into a file, without a server: for bug reports, parity checks and scripts.

Knows: that sentences are normalized, retried and joined, and voices found, as a server does it.
Does not know: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from voxfleet_protocols.spoken_text import has_speech

from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS, AudioFormat
from voxfleet_inference.audio.tempo import Tempo
from voxfleet_inference.commands.offline_engine import OfflineEngine
from voxfleet_inference.commands.offline_voice import chosen_voice
from voxfleet_inference.commands.synthesis_options import SynthesisError, SynthesisOptions
from voxfleet_inference.engine.messages import Float32Array, Patch, VoicePrompt
from voxfleet_inference.speech.assembly import Assembly
from voxfleet_inference.speech.derived_voice import derive_voice, voice_patch
from voxfleet_inference.speech.events import SpeechAudio
from voxfleet_inference.text.reading import TextReader, sentences_to_normalize
from voxfleet_inference.text.sentences import TextSentence, split


@dataclass(frozen=True, slots=True)
class SynthesisResult:
    """The patches of a text, the index of the patch at which each sentence starts, and the samples with pauses."""

    patches: tuple[Patch, ...]
    sentence_starts: tuple[int, ...]
    sample_rate: int
    samples: Float32Array  # [samples]

    @property
    def seconds(self) -> float:
        """Duration of the audio."""
        return len(self.samples) / self.sample_rate


def synthesize(options: SynthesisOptions) -> SynthesisResult:
    """Speak a text, write the audio (and the latents, if requested), and return both.

    Raises:
        SynthesisError: the checkpoint, the recording, the voice, the tape, the text or the file's name cannot be used.
    """
    audio_format = format_of(options.output)
    sentences = _sentences(options)
    engine = OfflineEngine(options)
    try:
        result = _speak_all(options, engine, sentences, chosen_voice(options, engine))
    finally:
        engine.close()
    _write(options, audio_format, result)
    return result


def format_of(output: Path) -> AudioFormat:
    """Return the format that a file's name ends with, in small letters or capitals.

    Raises:
        SynthesisError: it ends with no format.
    """
    audio_format = FORMATS.get(output.suffix.removeprefix(".").lower())
    if audio_format is None:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise SynthesisError(f"--output must end with one of {endings}; given {output.name!r}")
    return audio_format


def _sentences(options: SynthesisOptions) -> tuple[TextSentence, ...]:
    if not options.splits:
        sentences: tuple[TextSentence, ...] = (TextSentence(options.text),)
    else:
        sentences = sentences_to_normalize(options.text) if options.normalizes else split(options.text)
    if not any(has_speech(each.text) for each in sentences):
        raise SynthesisError("--text must have a letter or a digit to speak")
    return sentences


def _speak_all(
    options: SynthesisOptions, engine: OfflineEngine, sentences: tuple[TextSentence, ...], voice: VoicePrompt | None
) -> SynthesisResult:
    """Speak the sentences in order; without a voice, the first becomes that of the others."""
    patches: list[Patch] = []
    starts: list[int] = []
    parts: list[Float32Array] = []
    model_info = engine.model_info
    assembly = Assembly(model_info.sample_rate)
    reader = TextReader()
    for index, sentence in enumerate(sentences):
        starts.append(len(patches))
        text = reader.spoken_text(sentence.text) if options.normalizes else sentence.text
        spoken, ended = engine.speak(index, text, voice)
        patches += spoken
        parts += _pause_and_speech(assembly, sentence, spoken)
        if voice is None and len(sentences) > 1 and not model_info.single_speaker:
            voice = derive_voice(text, [voice_patch(patch) for patch in spoken], ended.text_tokens)
    tempo = Tempo(options.speed, model_info.sample_rate)
    samples = np.concatenate([*(tempo.convert(part) for part in parts), tempo.finish()])
    return SynthesisResult(tuple(patches), tuple(starts), model_info.sample_rate, samples)


def _pause_and_speech(assembly: Assembly, sentence: TextSentence, patches: tuple[Patch, ...]) -> list[Float32Array]:
    """Return the samples of the pause before a sentence, and those of the sentence."""
    before = [event.samples for event in assembly.begin(sentence) if isinstance(event, SpeechAudio)]
    spoken = [assembly.add_patch(patch).samples for patch in patches]
    assembly.end()
    return before + spoken


def _write(options: SynthesisOptions, audio_format: AudioFormat, result: SynthesisResult) -> None:
    # pcm has no header for its rate, and a file is not a player: it keeps the model's rate instead of OpenAI's 24 kHz.
    rate = result.sample_rate if audio_format.name == "pcm" else audio_format.rate_for(None, result.sample_rate)
    encoder = make_encoder(audio_format, result.sample_rate, rate, is_whole=True)
    audio = encoder.encode(result.samples) + encoder.finish()
    try:
        options.output.write_bytes(audio)
        _write_latents(options.latents_out, result)
    except OSError as error:
        raise SynthesisError(f"cannot write {error.filename}: {error.strerror}") from error


def _write_latents(path: Path | None, result: SynthesisResult) -> None:
    if path is None:
        return
    from safetensors.numpy import save_file  # noqa: PLC0415

    latents = np.stack([patch.latents for patch in result.patches])  # [steps, patch_size, feat_dim]
    save_file({"latents": latents, "sentence_starts": np.array(result.sentence_starts, np.int64)}, path)
