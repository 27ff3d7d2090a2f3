"""Decides what a region's schedules ask for at a time, and when that changes next.

A schedule raises minReplicas from each time of `start` to the next time of `end`, in its own time zone. Knows IANA
time zones. A schedule that cannot be read asks for nothing, and is a problem that names the field. Does not know
demand (scaling.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from voxfleet_operator.decisions.capacity.cron import Cron, CronError, next_time, parse_cron
from voxfleet_operator.resources import Autoscaling, Schedule

EPOCH = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """A schedule as it can be asked about times."""

    start: Cron
    end: Cron
    zone: ZoneInfo
    min_replicas: int

    def is_open(self, now: float) -> bool:
        """Whether the start was later than the end: then the end is the next of the two."""
        start, end = next_time(self.start, self.zone, now), next_time(self.end, self.zone, now)
        return start is not None and end is not None and end < start

    def changes_at(self, now: float) -> float | None:
        """Return the next start or end."""
        times = (next_time(self.start, self.zone, now), next_time(self.end, self.zone, now))
        return min((at for at in times if at is not None), default=None)


def scheduled(autoscaling: Autoscaling, now: float) -> Autoscaling:
    """Return the values that hold now: minReplicas is the largest that is asked for, and at most maxReplicas."""
    asked = [window.min_replicas for window in _windows(autoscaling) if window.is_open(now)]
    least = min(max([autoscaling.min_replicas, *asked]), autoscaling.max_replicas)
    return autoscaling.model_copy(update={"min_replicas": least}) if asked else autoscaling


def next_schedule_at(autoscaling: Autoscaling, now: float) -> float | None:
    """Return when a schedule starts or ends next."""
    changes = (window.changes_at(now) for window in _windows(autoscaling))
    return min((at for at in changes if at is not None), default=None)


def schedule_problems(autoscaling: Autoscaling, field: str) -> list[str]:
    """Return a message for each schedule that cannot be read or that is limited; `field` is the list's path."""
    found = []
    for index, schedule in enumerate(autoscaling.schedules):
        window = _read(schedule)
        if isinstance(window, str):
            found.append(f"{field}[{index}].{window}; this schedule is ignored")
        elif schedule.min_replicas > autoscaling.max_replicas:
            text = f"{field}[{index}].minReplicas {schedule.min_replicas} is above maxReplicas"
            found.append(f"{text}: {autoscaling.max_replicas} run; raise maxReplicas")
    return found


def _windows(autoscaling: Autoscaling) -> Iterator[Window]:
    read = (_read(schedule) for schedule in autoscaling.schedules)
    return (window for window in read if isinstance(window, Window))


def _read(schedule: Schedule) -> Window | str:
    return _window(schedule.start, schedule.end, schedule.time_zone, schedule.min_replicas)


@lru_cache(maxsize=1024)
def _window(start: str, end: str, time_zone: str, min_replicas: int) -> Window | str:
    """Return the schedule, or what is wrong with it: the field, its value and the remedy."""
    crons = {}
    for name, text in (("start", start), ("end", end)):
        try:
            crons[name] = parse_cron(text)
        except CronError as error:
            return f"{name} {text!r}: {error}"
        if next_time(crons[name], ZoneInfo("UTC"), EPOCH) is None:
            return f"{name} {text!r} never happens: no year has that date"
    if crons["start"] == crons["end"]:
        return f"end {end!r} has the same times as start: give it later ones"
    if time_zone not in available_timezones():
        near = get_close_matches(time_zone, available_timezones(), n=1)
        hint = f"did you mean {near[0]}?" if near else "give a name of the IANA database, such as Europe/Berlin"
        return f"timeZone {time_zone!r} is not a time zone: {hint}"
    return Window(crons["start"], crons["end"], ZoneInfo(time_zone), min_replicas)
