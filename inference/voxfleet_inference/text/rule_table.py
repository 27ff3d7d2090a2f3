"""The rules that run before wetext, by language and kind, in order: more specific kinds come first.

Where a sign or a letter has several readings, a rule asks for a reason nearby (a word, the case of letters, the order
of two numbers). Without one, the reading is the one whose mistake is noticed least: letters stay letters, a slash is
"over" or a pause rather than a fraction, a hyphen between falling numbers is no range.
Knows: which kinds there are.
Does not know: wetext, or which language a sentence has.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from voxfleet_inference.text.rule import Rule
from voxfleet_inference.text.rules import (
    abbreviations,
    fractions,
    money,
    ranges,
    roman_numerals,
    scores,
    sections,
    telephones,
    units,
    versions,
)
from voxfleet_inference.text.rules.calendar import dates, times, years
from voxfleet_inference.text.rules.technical import addresses, codes, dimensions, durations, formulas, models, rates

_KINDS: Final = (
    addresses,
    telephones,
    models,
    codes,
    scores,
    roman_numerals,
    sections,
    durations,
    dates,
    times,
    years,
    money,
    formulas,
    versions,
    fractions,
    rates,
    dimensions,
    units,
    ranges,
    abbreviations,
)


def _by_kind(language: str) -> Mapping[str, tuple[Rule, ...]]:
    return MappingProxyType({kind.__name__.rpartition(".")[2]: getattr(kind, language) for kind in _KINDS})


RULES: Final[Mapping[str, Mapping[str, tuple[Rule, ...]]]] = MappingProxyType(
    {"en": _by_kind("ENGLISH"), "zh": _by_kind("CHINESE")}
)


def rules_of(language: str) -> tuple[Rule, ...]:
    """Return the rules of a language, `en` or `zh`, in the order in which they run."""
    return tuple(rule for rules in RULES[language].values() for rule in rules)
