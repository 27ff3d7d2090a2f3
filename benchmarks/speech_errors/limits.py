"""What the demo voice must reach, and which of it a run missed: pure.

Knows: figures and limits. Does not know: how the figures were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """The gate's limits; a figure on a limit passes."""

    word_error_rate: float = 0.06  # at cfg 2
    demo_word_error_rate: float = 0.04  # at the demo's own setting
    right_length_share: float = 0.95
    format_spread: float = 0.02  # highest minus lowest word error rate of the number formats


@dataclass(frozen=True, slots=True)
class Figures:
    """What the gate measured; rates are means over the seeds."""

    word_error_rate: float
    demo_word_error_rate: float
    right_length_share: float
    by_format: Mapping[str, float]  # number format, and "reference" -> word error rate at cfg 2
    not_measured: Mapping[str, str] = field(default_factory=dict)  # number format -> why


@dataclass(frozen=True, slots=True)
class Failure:
    """A limit that was missed."""

    figure: str
    message: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.figure}: {self.message}"


def judge(figures: Figures, limits: Limits) -> list[Failure]:
    """Return the missed limits; a number format that was not measured is one of them."""
    return [*_rates(figures, limits), *_lengths(figures, limits), *_formats(figures, limits)]


def _rates(figures: Figures, limits: Limits) -> Iterator[Failure]:
    measured = (
        ("word error rate at cfg 2", figures.word_error_rate, limits.word_error_rate),
        ("word error rate at the demo's setting", figures.demo_word_error_rate, limits.demo_word_error_rate),
    )
    for name, rate, limit in measured:
        if rate > limit:
            yield Failure(name, f"{rate:.3f}; the limit is {limit:.3f}")


def _lengths(figures: Figures, limits: Limits) -> Iterator[Failure]:
    if figures.right_length_share < limits.right_length_share:
        share, limit = figures.right_length_share, limits.right_length_share
        yield Failure("right lengths", f"{share:.1%} of the sentences; at least {limit:.0%} are required")


def _formats(figures: Figures, limits: Limits) -> Iterator[Failure]:
    for name, reason in figures.not_measured.items():
        yield Failure(name, f"not measured: {reason}")
    if not figures.by_format:
        return
    highest, lowest = (pick(figures.by_format, key=figures.by_format.__getitem__) for pick in (max, min))
    spread = figures.by_format[highest] - figures.by_format[lowest]
    if spread > limits.format_spread:
        message = f"{highest} and {lowest} are {spread:.3f} apart; the limit is {limits.format_spread:.3f}"
        yield Failure("number formats", message)
