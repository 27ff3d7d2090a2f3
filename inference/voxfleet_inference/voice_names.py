"""Names of voices: built-in names, ids of stored voices and of consents, and aliases.

Knows: the form of an id, OpenAI's voice names, and how `--voice-aliases` is written.
Does not know: which voices are stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DEFAULT_VOICE: Final = "default"
RANDOM_VOICE: Final = "random"
BUILT_IN_VOICES: Final = (DEFAULT_VOICE, RANDOM_VOICE)
VOICE_ID: Final = re.compile(r"voice_[0-9a-f]{32}")  # 128 bits of a hash of the voice's content
CONSENT_ID: Final = re.compile(r"cons_[0-9a-f]{32}")  # the same of a recording in which a speaker agrees
_ALIAS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OPENAI_VOICES: Final = tuple(
    "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split()  # noqa: SIM905
)
# Clients written for OpenAI send one of these; VoxCPM has no such voices, so all are the default one, unless an alias
# or a stored voice has the name.
OPENAI_ALIASES: Final[Mapping[str, str]] = MappingProxyType(dict.fromkeys(_OPENAI_VOICES, DEFAULT_VOICE))


def is_voice_id(name: str) -> bool:
    """Return whether a name has the form of an id; only ids become part of a URL."""
    return VOICE_ID.fullmatch(name) is not None


def is_consent_id(name: str) -> bool:
    """Return whether a name has the form of a consent's id."""
    return CONSENT_ID.fullmatch(name) is not None


def is_stored_id(name: str) -> bool:
    """Return whether a name has the form of the id of a voice or a consent; only these become names of files."""
    return is_voice_id(name) or is_consent_id(name)


def parse_aliases(written: str) -> dict[str, str]:
    """Parse aliases as in `alloy=default,nova=voice_...`.

    Raises:
        ValueError: a part is no alias, or redefines a name.
    """
    given: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in written.split(","))):
        alias, equals, voice = (each.strip() for each in part.partition("="))
        if not equals or _ALIAS.fullmatch(alias) is None or not (voice in BUILT_IN_VOICES or is_voice_id(voice)):
            raise ValueError(
                f"{part!r} is no alias; write name=voice, voice being {' or '.join(BUILT_IN_VOICES)} or a stored"
                " voice's id"
            )
        if alias in BUILT_IN_VOICES or is_voice_id(alias) or alias in given:
            raise ValueError(f"{alias!r} has a meaning already; choose another name")
        given[alias] = voice
    return given


def checked_aliases(written: str) -> str:
    """Return the argument when `parse_aliases` accepts it; raise what that raises."""
    parse_aliases(written)
    return written
