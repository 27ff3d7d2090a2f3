"""How long a gateway takes to decide about one request, by the number of a model's regions.

Prints microseconds of processor time: of a decision on standings that are kept, of one after one region has changed, of
one after all have, of the log line's record, and the line's bytes. Nothing else runs in the process.

    .venv/bin/python benchmarks/decision.py --regions 3 32
"""

import argparse
import json
import timeit
from dataclasses import replace
from time import process_time

from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import stand, stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import DEFAULT_RULES, Location
from voxfleet_gateway.request_context import new_context

LOOPS, REPEATS = 50, 60  # the least of many short runs: other processes interrupt long ones
CLIENT = Location(48.137154, 11.576124)


def view_of(number: int) -> RegionView:
    """Return the view of a busy region, in which every field differs from the other regions'."""
    return RegionView(
        f"north-america-{number}",
        allowed_countries=("US", "CA"),
        price_per_gpu_hour=round(1.01 + number, 2),
        ready_pods=12,
        rows=384,
        running=300 + number,
        waiting=100 + number,
        free_requests=500 + number,
        service_seconds=round(12.345 + number, 3),
        predicted_wake_seconds=round(123.45 + number, 2),
    )


def measure(regions: int) -> dict[str, float]:
    """Return the times in microseconds, each the least of several, and the size of the log line in bytes."""
    views = tuple(map(view_of, range(regions)))
    kept = stand_all(views)
    places = tuple((view.name, Location(12.34 + number, -123.45 + number)) for number, view in enumerate(views))
    plain = RouteRequest("north-america-1", CLIENT, "US", tenant="some-tenant-of-a-customer")

    def asked() -> RouteRequest:
        rtts_seconds = expected_rtts_seconds(CLIENT, places, "north-america-1")
        return replace(plain, rtt_seconds=rtts_seconds, rtt_source="distance", rules=DEFAULT_RULES)

    context = new_context("0" * 36, "POST", "/v1/audio/speech", "north-america-1")
    context.record_decision(DecisionRecord(asked(), kept, decide(kept, asked())))
    calls = {
        "decide_us": lambda: decide(kept, asked()),
        "one_region_changed_us": lambda: decide((stand(views[0]), *kept[1:]), asked()),
        "all_regions_changed_us": lambda: decide(stand_all(views), asked()),
        "record_us": context.log_fields,
    }
    times = {
        name: min(timeit.repeat(call, timer=process_time, number=LOOPS, repeat=REPEATS)) / LOOPS
        for name, call in calls.items()
    }
    line = json.dumps({"event": "request", **context.log_fields()}, separators=(",", ":"))
    return {name: round(seconds * 1e6, 1) for name, seconds in times.items()} | {"line_bytes": len(line)}


def main() -> None:
    """Measure and print one JSON line per number of regions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, nargs="+", default=[3, 32], help="numbers of regions to measure")
    for regions in parser.parse_args().regions:
        print(json.dumps({"regions": regions, **measure(regions)}))  # the result


if __name__ == "__main__":
    main()
