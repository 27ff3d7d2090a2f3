"""A rule of text normalization: a pattern, what is read for it, and an example that tests and docs show.

Knows: how rules are applied in order; each sees what those before it have left.
Does not know: kinds, languages or wetext.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

Reading: TypeAlias = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is read for each match of a pattern; a reading that returns the match itself leaves it to later rules."""

    pattern: re.Pattern[str]
    reading: Reading
    example: str
    spoken: str  # of the example, by this rule alone

    def applied(self, text: str) -> str:
        """Return the text with each match replaced by its reading."""
        return self.pattern.sub(self.reading, text)


def rule(pattern: str, reading: Reading, example: str, spoken: str) -> Rule:
    r"""Return a rule; its pattern is ASCII, so that `\b` finds the edge between Chinese and a digit or letter."""
    return Rule(re.compile(pattern, re.ASCII), reading, example, spoken)


def applied(rules: Iterable[Rule], text: str) -> str:
    """Return the text after all rules, in order."""
    for each in rules:
        text = each.applied(text)
    return text
