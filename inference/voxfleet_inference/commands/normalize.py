"""Shows what the model is given for a text with `normalize`, and the rules that come before wetext.

Knows: the lines that are printed.
Does not know: how a text is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.requests import check_input
from voxfleet_inference.text.reading import readings
from voxfleet_inference.text.rule_table import RULES


class NormalizeError(Exception):
    """The text has nothing to speak; the message says what a server would answer."""


def reading_lines(text: str) -> Iterator[str]:
    """Yield a line per sentence, as the model is given it, and `[pause 1 s]` where the text asks for one.

    Raises:
        NormalizeError: the text has no letter or digit.
    """
    try:
        check_input(text, max(1, len(text)), normalizes=True)
    except InvalidFieldError as error:
        raise NormalizeError(error.message) from error
    for reading in readings(text):
        if reading.pause_seconds:
            yield f"[pause {reading.pause_seconds:g} s]"
        yield reading.spoken


def rule_lines() -> Iterator[str]:
    """Yield a line per rule, in the order in which they run: language, kind, example and what is read for it."""
    for language, kinds in RULES.items():
        for kind, rules in kinds.items():
            for rule in rules:
                yield f"{language}  {kind:14}{rule.example}  ->  {rule.spoken}"
