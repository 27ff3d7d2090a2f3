"""Reads public arrival traces: the header decides about the format.

Knows Azure's LLM inference traces (2023, 2024), Azure Functions (2021: one line per call; 2019: calls per minute) and
BurstGPT. Does not know what a request of them asked for: only when it arrived.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxfleet_simulation.errors import ScenarioError
from voxfleet_simulation.scenario.fields import Trace

MINUTE_COLUMNS = 1440  # of the format that counts calls per minute
MICROSECOND_DIGITS = 6

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """A format by the columns that its header must have, and how a row gives seconds."""

    name: str
    columns: frozenset[str]
    seconds: Callable[[dict[str, int], Row], Iterator[float]]


def _from_clock(columns: dict[str, int], row: Row) -> Iterator[float]:
    yield clock_seconds(row[columns["timestamp"]])


def _from_number(columns: dict[str, int], row: Row) -> Iterator[float]:
    yield float(row[columns["timestamp"]])


def _from_end(columns: dict[str, int], row: Row) -> Iterator[float]:
    yield float(row[columns["end_timestamp"]]) - float(row[columns["duration"]])


def _from_minutes(columns: dict[str, int], row: Row) -> Iterator[float]:
    """Spread the calls of each minute evenly over it: the trace says no more."""
    for minute in range(1, MINUTE_COLUMNS + 1):
        count = int(row[columns[str(minute)]] or 0)
        yield from ((minute - 1 + (call + 0.5) / count) * 60 for call in range(count))


FORMATS = (
    TraceFormat("Azure LLM inference", frozenset({"timestamp", "contexttokens", "generatedtokens"}), _from_clock),
    TraceFormat("BurstGPT", frozenset({"timestamp", "model", "request tokens"}), _from_number),
    TraceFormat("Azure Functions 2021", frozenset({"func", "end_timestamp", "duration"}), _from_end),
    TraceFormat(
        "Azure Functions 2019", frozenset({"hashfunction", "trigger", "1", str(MINUTE_COLUMNS)}), _from_minutes
    ),
)


def clock_seconds(text: str) -> float:
    """Return seconds since 1970 of a time with any number of fractional digits; without a zone it is UTC."""
    whole, _, fraction = text.strip().partition(".")
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    zone = fraction[len(digits) :]
    moment = datetime.fromisoformat(f"{whole}.{digits[:MICROSECOND_DIGITS]:0<6}{zone}" if digits else text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_trace(path: Path, trace: Trace, begins_at: float) -> NDArray[np.float64]:
    """Return the arrivals, the first one at `begins_at`. Raises ScenarioError with file, line and value."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = sorted(islice(_rows(path, csv.reader(file)), trace.most_requests))
    except OSError as error:
        raise ScenarioError(f"demand.trace.file: {path} cannot be read: {error}") from error
    if not found:
        raise ScenarioError(f"demand.trace.file: {path} has no rows")
    times: NDArray[np.float64] = begins_at + (np.array(found) - found[0]) / trace.speed
    return times


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[float]:
    columns = {name.strip().lower(): index for index, name in enumerate(next(reader, []))}
    chosen = next((each for each in FORMATS if each.columns <= columns.keys()), None)
    if chosen is None:
        known = "; ".join(f"{each.name}: {', '.join(sorted(each.columns))}" for each in FORMATS)
        text = f"{path} has the columns {', '.join(list(columns)[:8]) or '(none)'}"
        raise ScenarioError(f"demand.trace.file: {text}; known formats have: {known}")
    for number, row in enumerate(reader, start=2):
        try:
            yield from chosen.seconds(columns, row)
        except (ValueError, IndexError) as error:
            text = f"{path}, line {number}: {','.join(row)[:100]!r} is no row of {chosen.name}: {error}"
            raise ScenarioError(f"demand.trace.file: {text}") from error
