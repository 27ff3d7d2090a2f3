"""Reads cron expressions of five fields, and finds their next time in a time zone.

Knows the rules of cron: ranges, steps, names, and that of a restricted day of month and day of week either one is
enough. A local time that a clock change skips happens at the change, and one that it repeats happens the first time.
Does not know what begins or ends at those times (schedules.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SUNDAY = 7  # cron's other number for it, beside 0
# From one 29 February to the next, across a century that has none.
LONGEST_SEARCH_DAYS = 8 * 366 + 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an expression: its name, bounds, and names of its values from the lowest on."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, SUNDAY, DAYS),
)


class CronError(ValueError):
    """An expression that is not valid; the message names the field and its bounds."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The values of each field; `either_day`: both day fields are restricted, so that one of them is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def is_on(self, day: date) -> bool:
        """Whether the expression has times on a day."""
        of_month, of_week = day.day in self.days, day.isoweekday() % SUNDAY in self.weekdays
        is_day = of_month or of_week if self.either_day else of_month and of_week
        return day.month in self.months and is_day


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Return the parsed expression. Raises CronError."""
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise CronError(f"it has {len(parts)} fields instead of five: minute, hour, day of month, month, day of week")
    minutes, hours, days, months, weekdays = (_values(part, field) for part, field in zip(parts, FIELDS, strict=True))
    return Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(day % SUNDAY for day in weekdays),
        either_day=not parts[2].startswith("*") and not parts[4].startswith("*"),
    )


def next_time(cron: Cron, zone: ZoneInfo, after: float) -> float | None:
    """Return the first time later than `after`; None for a date that no year has, such as 30 February."""
    start = datetime.fromtimestamp(after, zone).replace(tzinfo=None)
    found = (_instant(local, zone) for local in _local_times(cron, start))
    return next((instant for instant in found if instant > after), None)


def _local_times(cron: Cron, start: datetime) -> Iterator[datetime]:
    """Yield the local times of an expression from the minute of `start` on."""
    first = start.replace(second=0, microsecond=0)
    for offset in range(LONGEST_SEARCH_DAYS):
        day = first.date() + timedelta(days=offset)
        if not cron.is_on(day):
            continue
        for hour in cron.hours:
            for minute in cron.minutes:
                local = datetime.combine(day, time(hour, minute))
                if local >= first:
                    yield local


def _instant(local: datetime, zone: ZoneInfo) -> float:
    """Return the instant of a local time; one that a clock change skips is at the change."""
    earlier = local.replace(tzinfo=zone, fold=0).timestamp()
    later = local.replace(tzinfo=zone, fold=1).timestamp()
    # Skipped: each reading of it is on the other side of the change (PEP 495).
    return _change(zone, later, earlier) if later < earlier else earlier


def _change(zone: ZoneInfo, before: float, after: float) -> float:
    """Return the whole second between two instants at which the zone's offset changes."""
    low, high = int(before), int(after)
    offset = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
    return float(high)


def _offset(zone: ZoneInfo, instant: int) -> timedelta | None:
    return datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset()


def _values(part: str, field: Field) -> set[int]:
    values: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        if step and not (step.isdigit() and int(step) > 0):
            raise CronError(f"step {step!r} of the {field.name} is not a number above 0")
        low, high = _span(span, field, is_open=bool(step))
        values.update(range(low, high + 1, int(step or 1)))
    return values


def _span(text: str, field: Field, *, is_open: bool) -> tuple[int, int]:
    """Return the first and last value of `*`, `5`, `1-5`; with a step, `5` means from 5 on."""
    if text == "*":
        return field.lowest, field.highest
    first, dash, last = text.partition("-")
    low = _number(first, field)
    high = _number(last, field) if dash else field.highest if is_open else low
    if low > high:
        raise CronError(f"{field.name} {text} runs backwards: write it as two ranges, separated by a comma")
    return low, high


def _number(text: str, field: Field) -> int:
    name = text.lower()
    if name in field.names:
        return field.names.index(name) + field.lowest
    if not (text.isascii() and text.isdigit()) or not field.lowest <= int(text) <= field.highest:
        raise CronError(f"{field.name} {text!r} is not within {field.lowest} to {field.highest}")
    return int(text)
