"""How much longer clients wait than at their best region, by what their region is chosen on, from measured pings.

    git clone --depth 1 https://github.com/ConsenSys/wittgenstein ~/.cache/voxfleet/wittgenstein
    python benchmarks/rtt_learning

Round trips between 222 cities are WonderNetwork's of November 2018. Every city has the same number of client networks
and sends as many requests. Each figure is the sum of the chosen regions' round trips divided by that of the best ones'.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from data_set import DEFAULT_FOLDER, read
from rich.console import Console
from rich.table import Table
from traffic import PLACES, Simulation, Traffic

REGIONS = {
    5: ("Washington", "Frankfurt", "Singapore", "Sao Paulo", "Tokyo"),
    8: ("Washington", "Los Angeles", "Frankfurt", "Singapore", "Sao Paulo", "Tokyo", "Sydney", "Bangalore"),
    12: (
        "Washington", "Chicago", "Dallas", "Los Angeles", "London", "Frankfurt", "Stockholm", "Singapore", "Sao Paulo",
        "Tokyo", "Sydney", "Johannesburg",
    ),
}  # fmt: skip
COLD_GOAL, LEARNED_GOAL = 1.13, 1.05  # of five regions
GOAL_REGIONS = 5


def main() -> int:
    """Print the tables; return 1 when a goal is missed."""
    options = parsed()
    try:
        data = read(options.data)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    traffic = Traffic(
        options.requests_per_second, options.prefixes_per_city, options.hours * 3600, options.access_ms / 1000
    )
    Console().print(f"{len(data.cities)} cities; misplaced, left out: {', '.join(data.misplaced)}")
    rows = [
        measure(Simulation(data, REGIONS[count], traffic, place), count, place)
        for place in options.places
        for count in options.regions
    ]
    print_table(rows, traffic)
    if options.json:
        Path(options.json).write_text(json.dumps({"traffic": asdict(traffic), "rows": rows}, indent=1))
    return int(any(row["regions"] == GOAL_REGIONS and row["place"] == "city" and not is_reached(row) for row in rows))


def parsed() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="the clone; default %(default)s")
    parser.add_argument("--regions", type=int, nargs="+", choices=REGIONS, default=[*REGIONS])
    parser.add_argument(
        "--places", nargs="+", choices=PLACES, default=[*PLACES], help="what the database knows, and the estimates use"
    )
    parser.add_argument("--requests-per-second", type=float, default=5.0)
    parser.add_argument("--prefixes-per-city", type=int, default=20)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--access-ms", type=float, default=0.0, help="median of a network's own part; default: none")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def measure(simulation: Simulation, count: int, place: str) -> dict[str, float | str]:
    """Return one row."""
    distance, wrong_by_distance = simulation.regret_of_cities(simulation.nearest)
    country, _ = simulation.regret_of_cities(simulation.by_country)
    learned = simulation.run()
    return {
        "place": place,
        "regions": count,
        "cities": len(simulation.cities),
        "distance": distance,
        "wrong by distance": wrong_by_distance,
        "country medians": country,
        "learned, during": learned.during,
        "learned, after": learned.after,
        "wrong after": learned.wrong_share,
    }


def is_reached(row: dict[str, float | str]) -> bool:
    """Whether the goals hold."""
    return float(row["distance"]) <= COLD_GOAL and float(row["learned, after"]) <= LEARNED_GOAL


def print_table(rows: list[dict[str, float | str]], traffic: Traffic) -> None:
    """Print all rows."""
    table = Table(title=f"{traffic.requests_per_second:g} requests/s, {traffic.prefixes_per_city} networks per city")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
