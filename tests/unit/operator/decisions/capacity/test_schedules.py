"""Schedules in time zones: cron, changes between standard and summer time, and what is refused."""

import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.cron import CronError, next_time, parse_cron
from voxfleet_operator.decisions.capacity.schedules import next_schedule_at, schedule_problems, scheduled
from voxfleet_operator.resources import Autoscaling, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
# Zones with changes of an hour, of half an hour, of a whole day skipped (Apia, 2011), and without any.
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def following(expression: str, after: float, zone: ZoneInfo = BERLIN) -> str:
    found = next_time(parse_cron(expression), zone, after)
    assert found is not None
    return datetime.fromtimestamp(found, zone).isoformat()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 8 * * *", "2026-03-02T08:00:00+01:00"),
        ("15 7 * * *", "2026-03-03T07:15:00+01:00"),  # later than, not at
        ("30 7 * * *", "2026-03-02T07:30:00+01:00"),
        ("*/20 7 * * *", "2026-03-02T07:20:00+01:00"),
        ("0 8 * * sat", "2026-03-07T08:00:00+01:00"),
        ("0 8 * * 7", "2026-03-08T08:00:00+01:00"),
        ("0 8 * * 0", "2026-03-08T08:00:00+01:00"),
        ("0 8 * * 1-5", "2026-03-02T08:00:00+01:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+01:00"),
        ("0 0 1 JAN *", "2027-01-01T00:00:00+01:00"),
        ("0 0 15 * fri", "2026-03-06T00:00:00+01:00"),
        ("5/25 8,9 3 */2 *", "2026-03-03T08:05:00+01:00"),
    ],
)
def test_the_next_time_of_an_expression(expression: str, expected: str) -> None:
    assert following(expression, at("2026-03-02T07:15")) == expected


def test_a_local_time_that_the_clock_change_skips_happens_at_the_change() -> None:
    assert following("30 2 * * *", at("2026-03-29T00:00")) == "2026-03-29T03:00:00+02:00"
    assert following("0 8 * * *", at("2026-03-28T09:00")) == "2026-03-29T08:00:00+02:00"


def test_a_local_time_that_the_clock_change_repeats_happens_once() -> None:
    first = next_time(parse_cron("30 2 * * *"), BERLIN, at("2026-10-25T00:00"))
    assert first == at("2026-10-25T02:30")
    assert following("30 2 * * *", first) == "2026-10-26T02:30:00+01:00"
    assert following("30 2 * * *", at("2026-10-25T02:15", fold=1)) == "2026-10-26T02:30:00+01:00"


def autoscaling(*schedules: tuple[str, str, int], zone: str = "Europe/Berlin", **fields: int) -> Autoscaling:
    made = [Schedule(start=start, end=end, time_zone=zone, min_replicas=least) for start, end, least in schedules]
    return Autoscaling(schedules=made, **fields)


WORK = ("0 8 * * 1-5", "0 18 * * 1-5", 2)


@pytest.mark.parametrize(
    ("local", "least"),
    [
        ("2026-11-23T07:59:59", 0),
        ("2026-11-23T08:00:00", 2),
        ("2026-11-23T17:59:59", 2),
        ("2026-11-23T18:00:00", 0),
        ("2026-11-22T12:00:00", 0),  # a Sunday
        ("2026-06-01T08:00:00", 2),  # summer time
    ],
)
def test_a_schedule_raises_min_replicas_between_start_and_end(local: str, least: int) -> None:
    assert scheduled(autoscaling(WORK), at(local)).min_replicas == least


def test_a_schedule_over_midnight_and_several_at_once() -> None:
    night = ("0 22 * * *", "0 6 * * *", 1)
    given_values = autoscaling(WORK, night, ("0 12 * * *", "0 13 * * *", 4))
    seen = {hour: scheduled(given_values, at(f"2026-11-23T{hour:02}:30")).min_replicas for hour in (5, 7, 9, 12, 23)}
    assert seen == {5: 1, 7: 0, 9: 2, 12: 4, 23: 1}


def test_schedules_never_lower_min_replicas_nor_exceed_max_replicas() -> None:
    now = at("2026-11-23T12:00")
    assert scheduled(autoscaling(WORK, min_replicas=3), now).min_replicas == 3
    assert scheduled(autoscaling(("0 8 * * *", "0 18 * * *", 9), max_replicas=4), now).min_replicas == 4


def test_the_region_is_decided_again_at_each_start_and_end() -> None:
    assert next_schedule_at(autoscaling(WORK), at("2026-11-23T12:00")) == at("2026-11-23T18:00")
    assert next_schedule_at(autoscaling(WORK), at("2026-11-27T18:00")) == at("2026-11-30T08:00")
    assert next_schedule_at(Autoscaling(), at("2026-11-23T12:00")) is None


@pytest.mark.parametrize(
    ("schedule", "parts"),
    [
        (("61 8 * * *", "0 18 * * *", 1), ["schedules[0].start '61 8 * * *'", "minute '61'", "0 to 59"]),
        (("0 8 * * *", "0 18 * * mox", 1), ["schedules[0].end", "day of week 'mox'"]),
        (("0 8 * *", "0 18 * * *", 1), ["start", "4 fields instead of five"]),
        (("0 8 * * *", "0 */0 * * *", 1), ["end", "step '0'", "above 0"]),
        (("0 8 30 2 *", "0 18 * * *", 1), ["start '0 8 30 2 *' never happens"]),
        (("0 20-8 * * *", "0 18 * * *", 1), ["hour 20-8 runs backwards"]),
        (("0 8 * * *", "00 8 * * *", 1), ["end '00 8 * * *' has the same times as start"]),
        (("0 8 * * *", "0 18 * * *", 5), ["schedules[0].minReplicas 5 is above maxReplicas: 4 run"]),
    ],
)
def test_a_bad_schedule_is_named_with_its_value_and_the_remedy(
    schedule: tuple[str, str, int], parts: list[str]
) -> None:
    (message,) = schedule_problems(autoscaling(schedule), "autoscaling.schedules")
    assert all(part in message for part in parts), message


def test_an_unknown_time_zone_is_answered_with_the_nearest_name() -> None:
    bad = autoscaling(WORK, WORK, zone="Europe/Berlinn")
    messages = schedule_problems(bad, "autoscaling.schedules")
    assert messages[1].startswith("autoscaling.schedules[1].timeZone 'Europe/Berlinn' is not a time zone")
    assert "did you mean Europe/Berlin?" in messages[1]
    assert scheduled(bad, at("2026-11-23T12:00")).min_replicas == 0, "it is ignored, and nothing else fails"


numbers = st.integers(0, 23)
instants = st.integers(1_262_304_000, 1_893_456_000).map(float)  # 2010 to 2030


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 59), numbers, instants)
def test_property_a_daily_time_happens_once_on_each_day_that_has_it(
    zone_name: str, minute: int, hour: int, start: float
) -> None:
    zone, cron = ZoneInfo(zone_name), parse_cron(f"{minute} {hour} * * *")
    times = [start]
    for _ in range(4):
        found = next_time(cron, zone, times[-1])
        assert found is not None
        times.append(found)
    for before, after in itertools.pairwise(times[1:]):
        days = datetime.fromtimestamp(after, zone).date() - datetime.fromtimestamp(before, zone).date()
        assert days in {timedelta(days=1), timedelta(days=2)}
    for found in times[1:]:
        local = datetime.fromtimestamp(found, zone)
        is_as_written = (local.hour, local.minute) == (hour, minute)
        jumped = datetime.fromtimestamp(found - 1, UTC).astimezone(zone).utcoffset() != local.utcoffset()
        assert is_as_written or jumped, "it differs only at a clock change"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), numbers, numbers, instants)
def test_property_what_holds_changes_only_at_the_announced_times(zone: str, start: int, end: int, now: float) -> None:
    if start == end:
        return
    given_values = autoscaling((f"0 {start} * * *", f"0 {end} * * *", 2), zone=zone)
    change = next_schedule_at(given_values, now)
    assert change is not None
    assert now < change <= now + 50 * 3600
    least = scheduled(given_values, now).min_replicas
    halfway = now + (change - now) / 2
    assert scheduled(given_values, halfway).min_replicas == least
    assert scheduled(given_values, change - 0.001).min_replicas == least


@given(st.text(st.sampled_from("0123456789*/,- amon"), max_size=20))
def test_property_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    with contextlib.suppress(CronError):
        assert parse_cron(text).hours
