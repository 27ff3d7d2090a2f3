"""Names of the model: its own, and aliases.

Knows: the form of a name, and how `--model-aliases` is written.
Does not know: which model is loaded.
"""

from __future__ import annotations

import re
from typing import Final

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}")


def parse_model_aliases(written: str) -> tuple[str, ...]:
    """Parse aliases as in `tts-1,gpt-4o-mini-tts`, each once.

    Raises:
        ValueError: a part is no name of a model.
    """
    aliases = tuple(dict.fromkeys(filter(None, (each.strip() for each in written.split(",")))))
    for alias in aliases:
        if MODEL_NAME.fullmatch(alias) is None:
            raise ValueError(f"{alias!r} is no name of a model; write names as in tts-1,gpt-4o-mini-tts")
    return aliases


def checked_model_aliases(written: str) -> str:
    """Return the argument when `parse_model_aliases` accepts it; raise what that raises."""
    parse_model_aliases(written)
    return written
