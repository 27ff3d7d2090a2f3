"""How long the teacher speaks a text, for checks of whether a trained voice stops at the right time.

Knows: texts as the server sends them, numbers already in words.
Does not know: audio, or the trained voice.
"""

from __future__ import annotations

from voxfleet_voice.teacher.grid import FRAMES_PER_SECOND
from voxfleet_voice.teacher.hibari_voice import HibariVoice
from voxfleet_voice.teacher.utterances import utterance_of
from voxfleet_voice.texts.sampler import Sentence, Text


class UnspeakableError(Exception):
    """The teacher cannot speak a text as one sentence; the message has the text."""


def spoken_seconds(text: str, voice: HibariVoice) -> float:
    """Return the length of one sentence on the latent grid, with the silence that training keeps around it.

    Raises:
        UnspeakableError: the words and their phonemes do not match one to one.
    """
    utterance = utterance_of(Text((Sentence(spoken=text, written=text.lower()),)), voice)
    if utterance is None:
        raise UnspeakableError(f"not one sentence of words in letters: {text!r}; write numbers in words, no hyphens")
    return len(utterance.periods) / FRAMES_PER_SECOND
