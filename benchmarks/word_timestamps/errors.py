"""Errors of word bounds against a reference.

Knows: seconds. Does not know: methods, where references come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from methods import Method
from teacher_speech import Reference


@dataclass(frozen=True, slots=True)
class Errors:
    """Absolute errors of one method, in milliseconds."""

    start_ms: tuple[float, float, float]  # mean, median, 95th percentile
    end_ms: tuple[float, float, float]
    words: int


def errors_of(method: Method, references: Sequence[Reference]) -> Errors:
    """Measure a method on sentences whose words are known."""
    starts, ends = [], []
    for each in references:
        found_starts, found_ends = method(each.text, each.samples, each.rate_hz)
        starts.append(np.abs(found_starts - each.starts) * 1000)
        ends.append(np.abs(found_ends - each.ends) * 1000)
    return Errors(_summary(np.concatenate(starts)), _summary(np.concatenate(ends)), sum(map(len, starts)))


def _summary(errors: np.ndarray) -> tuple[float, float, float]:
    return float(errors.mean()), float(np.median(errors)), float(np.percentile(errors, 95))
