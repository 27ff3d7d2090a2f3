"""The sounds that hibari's lexicon and its number words use, as classes for the phone classifier."""

from typing import Final

SILENCE_ID: Final = 16  # of hibari's vocabulary
_FIRST_SOUND_ID: Final = 17  # whatever lies below is a mark or silence
_IDS: Final = 178
PHONE_CLASSES: Final = {each: max(0, each - _FIRST_SOUND_ID + 1) for each in range(_IDS)}  # 0 is silence
PHONES: Final = max(PHONE_CLASSES.values()) + 1
