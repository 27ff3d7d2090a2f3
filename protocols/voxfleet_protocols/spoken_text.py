"""Which texts can be spoken at all: what every server refuses, whatever its model and settings are.

Knows: letters, digits, surrogates. Does not know: fields, languages, how a text is read.
"""

from __future__ import annotations

import re
from typing import Final

_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0")  # the fillers of Hangul: letters that show nothing
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def has_speech(text: str) -> bool:
    """Return whether a text has a letter or a digit; emoji, punctuation and invisible characters are no speech."""
    return any(each.isalnum() and each not in _BLANK_LETTERS for each in text)


def half_pair(text: str) -> str:
    """Return where a text has half a surrogate pair, which JSON can spell and UTF-8 cannot encode; empty for none."""
    half = _SURROGATE.search(text)
    return f"half a surrogate pair (U+{ord(half.group()):04X}) at character {half.start() + 1}" if half else ""
