"""`voxfleet simulate`: reads a scenario, runs its study, prints and writes the results.

Knows arguments and files. Results go to stdout, progress to stderr. Does not know what is computed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from voxfleet_simulation.errors import ArgumentError, SimulationError
from voxfleet_simulation.results.report import as_json, print_study
from voxfleet_simulation.results.study import COMPARISONS, Study, study
from voxfleet_simulation.scenario.demand import make_arrivals
from voxfleet_simulation.scenario.scenario import Scenario, parse_scenario

BUNDLED = Path(__file__).parent / "scenarios"
WIDTH = 150  # of tables that are not printed to a terminal
EXIT_MISSED, EXIT_WRONG = 1, 2
EXAMPLES = """examples:
  voxfleet simulate quiet-app
  voxfleet simulate global-day --png plots --html day.html
  voxfleet simulate my.yaml --set spec.autoscaling.idleTimeoutSeconds=900 --seed 7 --json out.json

exit code: 0, 1 when a goal of the scenario was missed, 2 when the scenario or an argument cannot be used
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
    except SystemExit as stopped:  # --help, or an argument that argparse has explained
        return int(stopped.code or 0)
    try:
        return _simulate(given)
    except SimulationError as error:
        sys.stderr.write(f"voxfleet simulate: {error}\n")
        return EXIT_WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "voxfleet simulate",
        description="Runs days of demand through the operator's and the gateway's own decisions, and compares start\n"
        "delays, GPU-hours and money with constant replicas, other routing, and a clairvoyant oracle.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="?", help="a YAML file, or the name of a bundled scenario")
    parser.add_argument("--list", action="store_true", help="print the bundled scenarios")
    parser.add_argument("--seed", type=int, help="in place of the scenario's")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field, as YAML")
    compared = f"runs to compare with: {', '.join(repr(each) for each in COMPARISONS)} (default: all)"
    parser.add_argument("--only", nargs="*", choices=COMPARISONS, metavar="RUN", help=compared)
    parser.add_argument("--no-sweeps", action="store_true", help="leave the sweeps out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (default: the CPUs)")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="what stdout gets")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write plots")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page with tables and plots")
    return parser


def _simulate(given: argparse.Namespace) -> int:
    if given.list:
        _print_bundled()
        return 0
    if given.scenario is None:
        raise ArgumentError(f"name a scenario: a YAML file, or one of {', '.join(_bundled_names())}")
    path = _find(given.scenario)
    scenario = _scenario(path, given.set, given.seed)
    found = study(
        scenario,
        make_arrivals(scenario, path.parent),
        COMPARISONS if given.only is None else tuple(given.only),
        max(1, given.jobs),
        lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
        sweeps=not given.no_sweeps,
    )
    _write(found, given)
    return 0 if all(goal.is_reached for goal in found.goals) else EXIT_MISSED


def _bundled_names() -> list[str]:
    return sorted(path.stem.replace("_", "-") for path in BUNDLED.glob("*.yaml"))


def _print_bundled() -> None:
    for name in _bundled_names():
        raw = yaml.safe_load(_find(name).read_text(encoding="utf-8"))
        sys.stdout.write(f"{name:16} {raw.get('description', '')}\n")


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    bundled = BUNDLED / f"{name.replace('-', '_')}.yaml"
    if bundled.is_file():
        return bundled
    raise ArgumentError(f"{name!r} is neither a file nor a bundled scenario ({', '.join(_bundled_names())})")


def _scenario(path: Path, changes: Sequence[str], seed: int | None) -> Scenario:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArgumentError(f"{path} cannot be read as YAML: {error}") from error
    for change in changes:
        field, separator, value = change.partition("=")
        if not separator:
            raise ArgumentError(f"--set {change!r}: give FIELD=VALUE, such as spec.autoscaling.maxReplicas=8")
        _set(raw, field.split("."), yaml.safe_load(value), change)
    if seed is not None:
        _set(raw, ["seed"], seed, f"seed={seed}")
    return parse_scenario(raw, str(path))


def _set(raw: Any, path: list[str], value: Any, change: str) -> None:
    """Change one field of nested mappings and lists; those that are missing are made."""
    for name in path[:-1]:
        if isinstance(raw, list) and name.isdigit() and int(name) < len(raw):
            raw = raw[int(name)]
        elif isinstance(raw, dict):
            raw = raw.setdefault(name, {})
        else:
            raise ArgumentError(f"--set {change!r}: {name!r} leads nowhere")
    if not isinstance(raw, dict):
        raise ArgumentError(f"--set {change!r}: {path[-1]!r} is no field of a mapping")
    raw[path[-1]] = value


def _write(found: Study, given: argparse.Namespace) -> None:
    values = as_json(found)
    text = json.dumps(values, indent=1) + "\n"
    if given.output == "json":
        sys.stdout.write(text)
    else:
        print_study(found, Console(width=None if sys.stdout.isatty() else WIDTH))
    try:
        if given.json:
            given.json.write_text(text, encoding="utf-8")
        if given.png or given.html:
            _write_plots(found, given)
    except OSError as error:
        raise ArgumentError(f"results cannot be written: {error}") from error


def _write_plots(found: Study, given: argparse.Namespace) -> None:
    from voxfleet_simulation.results.page import html_page  # noqa: PLC0415 - Matplotlib is slow to import
    from voxfleet_simulation.results.plots import write_png  # noqa: PLC0415

    if given.png:
        for path in write_png(found, given.png):
            print(path, file=sys.stderr)  # noqa: T201
    if given.html:
        given.html.write_text(html_page(found), encoding="utf-8")
