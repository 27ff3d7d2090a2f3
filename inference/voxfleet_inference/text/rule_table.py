"""The rules that run before wetext, by language and kind, in order: more specific kinds come first.

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
    scores,
    sections,
    telephones,
    units,
    versions,
)
from voxfleet_inference.text.rules.calendar import dates, times, years
from voxfleet_inference.text.rules.technical import addresses, codes, durations, formulas, models, rates

_KINDS: Final = (
    addresses,
    telephones,
    models,
    codes,
    scores,
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
