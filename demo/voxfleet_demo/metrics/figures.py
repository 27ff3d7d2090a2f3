"""The story as figures: one line each, of the values that dashboards show.

Knows: which panel answers which question. Does not know: PromQL; the queries are the dashboards' own.
"""

from collections.abc import Callable, Iterable, Mapping

from voxfleet_demo.installation import REGIONS
from voxfleet_demo.metrics.prometheus import Series
from voxfleet_demo.metrics.story import Story

FIRING = 'ALERTS{alertstate="firing"}'  # Prometheus' own series of what the rules came to
SECONDS_PER_HOUR = 3600


def figures(story: Story) -> list[str]:
    """Return one line per figure."""
    return [f"{title}: {text(story)}" for title, text in FIGURES.items()]


def wakes(story: Story) -> str:
    """Return how often each region was woken."""
    counted = {
        region: sum(story.values("region / Wakes and broken streams per hour / wakes", region=region).values())
        for region in REGIONS
    }
    return ", ".join(f"{region} {count:.0f}" for region, count in counted.items())


def wake_parts(story: Story) -> str:
    """Return how long wakes took, and their parts, longest first."""
    total = story.values("fleet / Wakes by part, p95 / total")
    parts = story.values("fleet / Wakes by part, p95 / {{phase}}")
    longest = dict(sorted(parts.items(), key=lambda part: -part[1]))
    return f"{seconds(total)} in all; {by_name(longest)}"


def held(story: Story) -> str:
    """Return how many requests each region held at a time, and for how long."""
    query = story.queries["region / Held: requests, free places / {{pod}} held"]
    lines = []
    for region in REGIONS:
        most = max(
            (value for each in story.course(query.selected(region=region)) for _, value in each.samples), default=0
        )
        quantiles = [seconds(story.values(f"region / Held seconds / {name}", region=region)) for name in ("p50", "p95")]
        lines.append(f"{region} at most {most:.0f} at a time, p50 {quantiles[0]}, p95 {quantiles[1]}")
    return "; ".join(lines)


def first_byte(story: Story) -> str:
    """Return the quantiles of the time to the first byte of audio; held requests are in it."""
    return ", ".join(
        f"{name} {seconds(story.values(f'deployment / First byte of audio / {name}'))}" for name in ("p50", "p95")
    )


def servers(story: Story) -> str:
    """Return each region's ready servers over time."""
    query = story.queries["deployment / Servers / {{region}} {{pool}}"]
    rows = [each for each in story.course(query.selected()) if any(value for _, value in each.samples)]
    return "; ".join(f"{each.labels['region']} {changes(each, story.start)}" for each in rows) or "none"


def gpu_seconds(story: Story) -> str:
    """Return the GPU seconds used, and those that sleep has saved."""
    used, avoided = (
        sum(story.values(f"deployment / GPU hours in a day / {legend}").values()) * SECONDS_PER_HOUR
        for legend in ("{{region}} {{pool}}", "{{region}} avoided by sleeping")
    )
    return f"{used:.0f} s used, {avoided:.0f} s avoided by sleeping" + ("" if used + avoided else " (gpu.count is 0)")


def alerts(story: Story) -> str:
    """Return the alerts that fired, and how many rules could be evaluated."""
    rules = story.prometheus.alert_rules()
    fired = sorted({each.labels["alertname"] for each in story.course(FIRING)})
    healthy = sum(rule["health"] == "ok" for rule in rules)
    return f"{', '.join(fired) or 'none fired'}; {healthy} of {len(rules)} rules evaluated without error"


FIGURES: Mapping[str, Callable[[Story], str]] = {
    "wakes": wakes,
    "wake seconds, p95": wake_parts,
    "requests held": held,
    "first byte of audio": first_byte,
    "ready servers": servers,
    "GPU seconds": gpu_seconds,
    "alerts": alerts,
}


def changes(series: Series, start: float) -> str:
    """Return a gauge as its first value and each later one with the second of the story: 0, 1 from 12 s."""
    shown: list[str] = []
    last = None
    for when, value in series.samples:
        if value != last:
            shown.append(f"{value:.0f} from {when - start:.0f} s" if shown else f"{value:.0f}")
        last = value
    return ", ".join(shown)


def seconds(values: Mapping[str, float]) -> str:
    """Return the largest of some seconds, or that there are none."""
    return f"{max(values.values()):.2f} s" if values else "no data"


def by_name(values: Mapping[str, float]) -> str:
    """Return seconds by name."""
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items()) or "no parts"


def dashboards_line(has_data: Iterable[bool], reasons: Mapping[str, str]) -> list[str]:
    """Return how many queries had data, and why the others had none."""
    given = list(has_data)
    return [
        f"dashboards: {sum(given)} of {len(given)} queries have data; the others, and why:",
        *(f"  {place}: {reason}" for place, reason in reasons.items()),
    ]
