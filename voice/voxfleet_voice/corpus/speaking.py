"""The teacher with its word list: what a process needs to make utterances, loaded once."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from voxfleet_voice.teacher.hibari_voice import HibariVoice
from voxfleet_voice.teacher.utterances import Utterance, draw_utterance
from voxfleet_voice.texts.word_list import WordList, load_word_list


@dataclass(frozen=True, slots=True)
class Speaking:
    """A voice and the words that it is given."""

    voice: HibariVoice
    words: WordList

    def draw(self, source: random.Random) -> Utterance:
        """Return the utterance of a random text."""
        return draw_utterance(self.voice, self.words, source)


def load_speaking(folder: Path) -> Speaking:
    """Load both; `folder` keeps the teacher's model with durations."""
    return Speaking(HibariVoice(folder), load_word_list())
