"""Pauses that a text asks for: `[pause:1s]`, `[pause:500ms]` and SSML's `<break time="500ms"/>`.

Knows: the marks and their seconds, the bounds of one pause and of all pauses of a text, and which sentence a pause
precedes.
Does not know: samples, or the pauses that sentences have anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from voxfleet_protocols.spoken_text import has_speech

from voxfleet_inference.text.sentences import End, TextSentence

MAX_PAUSE_SECONDS: Final = 10.0
MAX_TEXT_PAUSE_SECONDS: Final = 60.0  # of all pauses of a text: a short text must not become hours of silence
# SSML 1.1, 3.2.3, names the strengths and leaves their lengths to the processor; a break without attributes is medium.
_STRENGTH_SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 1.5}
)
_MARK: Final = re.compile(
    r"\[pause(?:[:=\s]\s?(?P<time>\d{1,6}(?:\.\d{1,6})?)\s?(?P<unit>ms|s)?)?\]"
    r"|<break\b(?P<attributes>[^<>\n]{0,200})>(?:\s?</break>)?",
    re.IGNORECASE,
)
_TIME: Final = re.compile(  # also with a quotation mark missing
    r"\btime\s?=\s?[\"'“”]?\s?\+?(\d{0,6}(?:\.\d{1,6})?)\s?(ms|s)(?=\s?[\"'“”]|[\s/]|$)", re.IGNORECASE
)
_STRENGTH: Final = re.compile(r"\bstrength\s?=\s?[\"']([a-z-]+)[\"']", re.IGNORECASE)


def with_plain_pauses(text: str) -> str:
    """Return the text with SSML's breaks as `[pause:500ms]`, which stays when tags are removed."""
    return _MARK.sub(lambda found: f"[pause:{round(_seconds(found) * 1000)}ms]", text)


def without_pauses(text: str) -> str:
    """Return the text without its pause marks."""
    return _MARK.sub(" ", text)


class PauseSplitter:
    """Splits the sentences of one text at pause marks; a pause at the end of the text is dropped."""

    def __init__(self) -> None:
        self._waiting_seconds = 0.0  # for the next part
        self._left_seconds = MAX_TEXT_PAUSE_SECONDS

    def parts(self, sentence: TextSentence) -> Iterator[TextSentence]:
        """Yield the parts of a sentence that have speech, each with the pause before it."""
        text, at = sentence.text, 0
        spoken: list[TextSentence] = []
        for mark in _MARK.finditer(text):
            spoken += self._part(text[at : mark.start()])
            self._waiting_seconds = min(MAX_PAUSE_SECONDS, self._waiting_seconds + _seconds(mark))
            at = mark.end()
        spoken += self._part(text[at:])
        for part in spoken[:-1]:
            yield part
        for part in spoken[-1:]:
            yield replace(part, end=sentence.end)

    def _part(self, text: str) -> list[TextSentence]:
        if not has_speech(text):
            return []
        pause = min(self._waiting_seconds, self._left_seconds)
        self._waiting_seconds, self._left_seconds = 0.0, self._left_seconds - pause
        return [TextSentence(text.strip(), End.CLAUSE, pause)]


def _seconds(mark: re.Match[str]) -> float:
    """Return the length of one pause, at most MAX_PAUSE_SECONDS; a number without a unit is in seconds."""
    if mark["time"] is not None:
        seconds = float(mark["time"]) / (1000 if (mark["unit"] or "s").lower() == "ms" else 1)
        return min(MAX_PAUSE_SECONDS, seconds)
    time = _TIME.search(mark["attributes"] or "")
    if time is not None and time[1]:
        return min(MAX_PAUSE_SECONDS, float(time[1]) / (1000 if time[2].lower() == "ms" else 1))
    strength = _STRENGTH.search(mark["attributes"] or "")
    return _STRENGTH_SECONDS.get(strength[1].lower() if strength else "medium", _STRENGTH_SECONDS["medium"])
