"""A study as JSON and as tables of text. Knows names, units and columns. Does not know how anything was computed."""

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from voxfleet_simulation.results.answers import idle_answer, price_answer
from voxfleet_simulation.results.statistics import Delays, Statistics
from voxfleet_simulation.results.study import PRODUCT, Study

DIGITS = 6


def as_json(study: Study) -> dict[str, Any]:
    """Return everything that a study says; equal for equal seeds, so without processor times."""
    scenario = study.scenario
    idle = idle_answer(study.idle_sweep, scenario.sweeps.waiting_price_per_hour)
    price = price_answer(study.price_sweep)
    found = {
        "scenario": {"name": scenario.name, "seed": scenario.seed, "hours": scenario.period.hours},
        "runs": {name: asdict(each) for name, each in study.runs.items()},
        "oracle": asdict(study.oracle),
        "constant_replicas": {name: list(each) for name, each in study.constant.items()},
        "goals": [asdict(goal) for goal in study.goals],
        "idle_sweep": [{"seconds": each.value, **asdict(each.statistics)} for each in study.idle_sweep],
        "price_sweep": [{"weight": each.value, **asdict(each.statistics)} for each in study.price_sweep],
        "idle_timeout": asdict(idle) if idle else None,
        "price_of_delay": asdict(price) if price else None,
    }
    rounded: dict[str, Any] = _rounded(found)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def print_study(study: Study, console: Console) -> None:
    """Print every table."""
    console.print(f"[bold]{study.scenario.name}[/bold]: {study.scenario.description}", highlight=False)
    console.print(_delay_table(study))
    console.print(_cost_table(study))
    if study.idle_sweep:
        console.print(_idle_table(study))
    if study.price_sweep:
        console.print(_price_table(study))
    if study.goals:
        console.print(_goal_table(study))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _ms(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:,.0f}"


def _delay_row(name: str, every: Delays, outside: Delays, inside: Delays, rest: tuple[str, ...]) -> tuple[str, ...]:
    return (
        name,
        *(_ms(each) for each in (every.mean, every.p50, every.p95, every.p99, outside.p95, outside.p99)),
        f"{inside.count:,}",
        _ms(inside.p95),
        *rest,
    )


def _delay_table(study: Study) -> Table:
    table = _table(
        "start delay, ms", "", "mean", "p50", "p95", "p99", "p95 outside wakes", "p99 outside", "in wakes",
        "p95 in wakes", "refused", "lost",
    )  # fmt: skip
    for name, each in study.runs.items():
        refused = each.outcomes["refused"] + each.outcomes["expired"]
        rest = (f"{refused:,}", f"{each.lost:,}")
        table.add_row(*_delay_row(name, each.all, each.outside_wakes, each.in_wakes, rest))
    oracle = study.oracle.delays
    table.add_row("oracle", *(_ms(each) for each in (oracle.mean, oracle.p50, oracle.p95, oracle.p99)))
    ratio = study.runs[PRODUCT].all.mean / oracle.mean
    table.caption = f"mean / oracle's: {ratio:.3f}"
    return table


def _cost_table(study: Study) -> Table:
    table = _table(
        "cost", "", "GPU-hours", "on spot", "money", "money / peak", "wakes", "reclaims", "clients waited, h"
    )
    reference = next((each.money for name, each in study.runs.items() if name.endswith("peak")), 0.0)
    for name, each in study.runs.items():
        table.add_row(name, *_cost_row(each, reference))
    table.add_row("oracle", f"{study.oracle.gpu_hours:,.1f}")
    return table


def _cost_row(each: Statistics, reference: float) -> tuple[str, ...]:
    return (
        f"{each.gpu_hours:,.1f}",
        f"{each.gpu_hours_spot / each.gpu_hours:.0%}" if each.gpu_hours else "-",
        f"{each.money:,.2f}",
        f"{each.money / reference:.2f}" if reference else "-",
        f"{each.wakes:,}",
        f"{each.reclaims:,}",
        f"{each.held_hours:,.2f}",
    )


def _idle_table(study: Study) -> Table:
    table = _table(
        "idle timeout", "seconds", "GPU-hours", "money", "wakes", "in wakes", "p95 in wakes, ms", "clients waited, h",
        "price of an hour not waited",
    )  # fmt: skip
    waiting = study.scenario.sweeps.waiting_price_per_hour
    answer = idle_answer(study.idle_sweep, waiting)
    steps = dict(answer.price_per_hour_waited) if answer else {}
    for point in study.idle_sweep:
        each = point.statistics
        step = steps.get(point.value)
        table.add_row(
            f"{point.value:.0f}",
            f"{each.gpu_hours:,.1f}",
            f"{each.money:,.2f}",
            str(each.wakes),
            str(each.in_wakes.count),
            _ms(each.in_wakes.p95),
            f"{each.held_hours:,.2f}",
            "-" if step is None else f"{step:,.2f}",
        )
    if answer:
        table.caption = (
            f"cheapest by the machines alone: {answer.cheapest_seconds:.0f} s; "
            f"with {waiting:g} per hour that clients wait: {answer.break_even_seconds:.0f} s"
        )
    return table


def _price_table(study: Study) -> Table:
    table = _table("weight of prices in routing", "weight", "mean, ms", "p95, ms", "GPU-hours", "money")
    for point in study.price_sweep:
        each = point.statistics
        table.add_row(
            f"{point.value:g}", _ms(each.all.mean), _ms(each.all.p95), f"{each.gpu_hours:,.1f}", f"{each.money:,.2f}"
        )
    answer = price_answer(study.price_sweep)
    if answer and answer.money_per_hundred_ms is not None:
        table.caption = (
            f"100 ms more of mean start delay save {answer.money_per_hundred_ms:,.2f} in this run, "
            f"{answer.money_per_million_requests:,.2f} per million requests"
        )
    return table


def _goal_table(study: Study) -> Table:
    table = _table("goals", "", "goal", "measured", "")
    for goal in study.goals:
        table.add_row(goal.name, f"{goal.goal:g}", f"{goal.measured:.3f}", "reached" if goal.is_reached else "MISSED")
    return table
