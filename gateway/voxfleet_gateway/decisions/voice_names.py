"""What the `voice` of a request means: a built-in voice, or the id of a stored one. Pure.

Knows: the order in which a name is looked up, the same as the inference server's: built-in names, the resource's table
(`spec.voices`), ids, names of stored voices, OpenAI's names, which mean the default voice.
Does not know: which voices are stored (an argument), nor that a pod may keep voices of its own.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

DEFAULT: Final = "default"
BUILT_IN: Final = (DEFAULT, "random")
VOICE_ID: Final = re.compile(r"voice_[0-9a-f]{32}")
CONSENT_ID: Final = re.compile(r"cons_[0-9a-f]{32}")  # of a recording in which a speaker agrees
CONSENT_PREFIX: Final = "cons_"
OPENAI_NAMES: Final = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)


class UnknownVoice(NamedTuple):
    """No voice has the name."""

    name: str


class AmbiguousVoice(NamedTuple):
    """Several stored voices have the name."""

    name: str
    ids: tuple[str, ...]


def is_voice_id(name: str) -> bool:
    """Whether a name has the form of an id."""
    return VOICE_ID.fullmatch(name) is not None


def is_consent_id(name: str) -> bool:
    """Whether a name has the form of a consent's id."""
    return CONSENT_ID.fullmatch(name) is not None


def is_stored_id(name: str) -> bool:
    """Whether a name has the form of the id of a voice or a consent, which become names of files."""
    return is_voice_id(name) or is_consent_id(name)


def resolve_voice(
    name: str, table: Mapping[str, str], ids_of: Callable[[str], Collection[str]]
) -> str | UnknownVoice | AmbiguousVoice:
    """Return the built-in voice or the id that a name means; `ids_of` returns the stored voices of a name.

    An empty name, which a request without `voice` has, stays empty: the server's default.
    """
    if not name or name in BUILT_IN or is_voice_id(name):
        return name
    if name in table:
        return table[name]
    ids = sorted(ids_of(name))
    if len(ids) > 1:
        return AmbiguousVoice(name, tuple(ids))
    if ids:
        return ids[0]
    return DEFAULT if name in OPENAI_NAMES else UnknownVoice(name)


def other_names(table: Mapping[str, str], stored_names: Collection[str]) -> dict[str, str]:
    """Return every further name that a request may use, with the voice that it means: OpenAI's, then the table's."""
    openai = {name: DEFAULT for name in OPENAI_NAMES if name not in stored_names}
    return openai | dict(table)
