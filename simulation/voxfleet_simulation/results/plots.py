"""Plots of a study, by Matplotlib without a display: PNG files, and SVG for the page.

Knows which plots a study has and how they look. Does not know how anything was computed.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from voxfleet_simulation.results.statistics import servers_over_time
from voxfleet_simulation.results.study import AT_MEAN, PRODUCT, Study
from voxfleet_simulation.scenario.scenario import HOUR_SECONDS

COLORS = ("#2f6fde", "#e07b39", "#3a9d5d", "#a05fc0", "#c94f6d", "#6b8e9e", "#b59b2b", "#4aa8a8")
SIZE_INCHES = (8.4, 3.9)
POINTS = 600  # of a line over time
LEAST_DELAY_MS = 1.0
MOST_COLUMNS = 5  # of a legend
INK, PAPER = "#20242a", "#ffffff"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "svg.fonttype": "none",  # text stays text: it takes the page's colour
    "svg.hashsalt": "voxfleet",  # equal studies give equal files
    "axes.edgecolor": INK,
    "text.color": INK,
}
Plot = Callable[[Study, Axes], None]


def plots_of(study: Study) -> Iterator[tuple[str, Plot]]:
    """Yield the names and functions of the plots that a study has."""
    yield "delays", _delays
    yield "servers", _servers
    if any(each.money for each in study.runs.values()):
        yield "money", _money
    if study.idle_sweep:
        yield "idle_timeout", _idle
    if study.price_sweep:
        yield "price_of_delay", _price


def write_png(study: Study, folder: Path) -> list[Path]:
    """Write every plot as a PNG file; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in _figures(study):
        path = folder / f"{study.scenario.name}_{name}.png"
        figure.savefig(path, dpi=130, facecolor=PAPER, metadata={"Software": None})
        paths.append(path)
    return paths


def svg_plots(study: Study) -> dict[str, str]:
    """Return every plot as an SVG element; what is drawn in ink takes the colour of the page's text."""
    found = {}
    for name, figure in _figures(study):
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        text = file.getvalue()
        text = text[text.index("<svg") :].replace(INK, "currentColor")
        # Identifiers are the page's: each plot gets its own.
        found[name] = re.sub(r'((?:id="|url\(#|href="#))', rf"\g<1>{name}-", text)
    return found


def _figures(study: Study) -> Iterator[tuple[str, Figure]]:
    with mpl.rc_context(STYLE):
        for name, plot in plots_of(study):
            figure = Figure(SIZE_INCHES, layout="constrained")
            axes = figure.subplots()
            axes.tick_params(which="both", colors=INK)  # minor ticks of logarithmic axes too
            axes.xaxis.label.set_color(INK)
            axes.yaxis.label.set_color(INK)
            plot(study, axes)
            yield name, figure


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _delays(study: Study, axes: Axes) -> None:
    """Part of the requests that start later than a delay: both axes logarithmic, for the slow few."""
    for color, (name, result) in zip(COLORS, study.results.items(), strict=False):
        known = np.sort(result.records.delay_seconds[~np.isnan(result.records.delay_seconds)]) * 1000
        if not known.size:
            continue
        parts = 100 * (1 - np.arange(known.size) / known.size)
        chosen = np.unique(np.geomspace(1, known.size, POINTS).astype(int))
        picked = known.size - chosen[::-1]
        width = 2.2 if name == PRODUCT else 1.3
        # Constant fleets are often equally quick: the dashes of the one leave the other visible.
        line = "--" if name == AT_MEAN else "-"
        delays = np.maximum(known[picked], LEAST_DELAY_MS)
        axes.plot(delays, parts[picked], line, color=color, label=name, linewidth=width)
    axes.set(xscale="log", yscale="log", xlabel="start delay", ylabel="requests that start later")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"))  # noqa: PLR2004
    axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{part:g} %"))
    axes.set_title("Start delay")
    _legend(axes)


def _servers(study: Study, axes: Axes) -> None:
    """Nodes of each region over time, stacked, and those of the constant fleet."""
    scenario = study.scenario
    times = np.linspace(scenario.begins_at, scenario.ends_at, POINTS, endpoint=False)
    hours = (times - scenario.begins_at) / HOUR_SECONDS
    counts = servers_over_time(study.results[PRODUCT].bills, times)
    names = [region.name for region in scenario.spec.regions]
    axes.stackplot(hours, counts, labels=names, colors=COLORS, step="post", linewidth=0, alpha=0.85)
    for (name, replicas), line in zip(study.constant.items(), ("--", ":"), strict=True):
        axes.axhline(sum(replicas), color=INK, linestyle=line, linewidth=1.2, label=name)
    axes.set(xlabel="hours since the beginning", ylabel="GPU nodes", xlim=(0, scenario.period.hours), ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("GPU nodes by region")
    columns = len(names) + len(study.constant)
    if columns <= MOST_COLUMNS:  # beside the title; the plot keeps its width
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": columns}
    else:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": MOST_COLUMNS}
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, handlelength=1.6, columnspacing=1.2, **place)


def _money(study: Study, axes: Axes) -> None:
    names = list(study.runs)[::-1]
    money = [study.runs[name].money for name in names]
    colors = [COLORS[0] if name == PRODUCT else COLORS[5] for name in names]
    bars = axes.barh(names, money, color=colors, height=0.5)
    axes.bar_label(bars, [f"{each:,.2f}" for each in money], padding=4, color=INK)
    axes.set(xlabel="money, in the unit of the spec's prices")
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14, y=0.2)
    axes.set_title("Cost of the GPU nodes")


def _idle(study: Study, axes: Axes) -> None:
    """Machines and clients' waiting, both in money: where their sum is least, the timeout breaks even."""
    price = study.scenario.sweeps.waiting_price_per_hour
    seconds = [point.value for point in study.idle_sweep]
    machines = np.array([point.statistics.money for point in study.idle_sweep])
    waiting = price * np.array([point.statistics.held_hours for point in study.idle_sweep])
    axes.plot(seconds, machines, "o-", color=COLORS[0], label="GPU nodes")
    axes.plot(seconds, waiting, "o-", color=COLORS[1], label=f"clients that wait, at {price:g} an hour")
    axes.plot(seconds, machines + waiting, "o-", color=COLORS[2], linewidth=2.2, label="both")
    best = int(np.argmin(machines + waiting))
    axes.axvline(seconds[best], color=INK, linestyle=":", linewidth=1.2)
    axes.annotate(
        f" least at {seconds[best]:.0f} s",
        (seconds[best], 0.98),
        color=INK,
        xycoords=("data", "axes fraction"),
        va="top",
    )
    axes.set(xscale="log", xlabel="idleTimeoutSeconds", ylabel="money", ylim=(0, None))
    axes.set_xticks(seconds, [f"{each:.0f}" for each in seconds])
    axes.minorticks_off()
    axes.set_title("Idle timeout")
    _legend(axes)


def _price(study: Study, axes: Axes) -> None:
    delays = [point.statistics.all.mean * 1000 for point in study.price_sweep]
    money = [point.statistics.money for point in study.price_sweep]
    axes.plot(delays, money, "o-", color=COLORS[0])
    for point, delay, cost in zip(study.price_sweep, delays, money, strict=True):
        axes.annotate(f"{point.value:g}", (delay, cost), xytext=(5, 5), textcoords="offset points", color=INK)
    axes.set(xlabel="mean start delay, ms", ylabel="money")
    axes.margins(0.12)
    axes.set_title("What delay costs: weight of prices in routing, at each point")
