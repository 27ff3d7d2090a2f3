"""The most requests per second of 1, 2 and 4 gateways, each on a core of its own where there are enough.

Knows: one client process per gateway, which keeps it busy. Does not know: how the ways are started.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import uvloop
from clients.audio import SpokenText
from clients.http_client import Pool
from clients.load import closed_loop, failures, for_seconds, request_of
from clients.outcomes import percentiles_ms, totals
from parts.part import Goal, Options, Result, Row
from sides.processes import Cores, Meter, running, split_cores
from sides.scenario import Scenario, model_name
from sides.ways import GATEWAY, PROGRAM, Ways, opened

GATEWAYS = (1, 2, 4)
IN_FLIGHT = 32  # of each gateway: enough that it never waits for a request
PODS = 4
GOAL_EFFICIENCY = 0.9


@dataclass(frozen=True, slots=True)
class Driver:
    """What one client process is asked to do."""

    port: int
    seconds: float
    in_flight: int = IN_FLIGHT


def run(options: Options) -> Result:
    """Measure every number of gateways that the machine has cores for, and always two."""
    result = Result("scaling")
    seconds = options.pick(8.0, 1.0)
    for gateways in GATEWAYS:
        cores = split_cores(options.available, gateways)
        if gateways > 2 and len(cores.measured) < gateways:  # noqa: PLR2004  # two always run, on one core if need be
            result.notes.append(f"{gateways} gateways need {2 * gateways} cores: {len(options.available)} are here")
            continue
        with opened(Scenario(pods=PODS), cores, gateways=gateways, has_nginx=False) as ways:
            result.rows.append(measure(ways, cores, seconds))
    result.goals.append(goal_of(result.rows, len(options.available)))
    return result


def measure(ways: Ways, cores: Cores, seconds: float) -> Row:
    """Load every gateway at once; returns one row."""
    ports = ways.gateway.ports
    with contextlib.ExitStack() as stack:
        drivers = [stack.enter_context(_driver(Driver(port, seconds), cores)) for port in ports]
        meter = Meter({GATEWAY: ways.gateway.pids, "client": [each.pid for each in drivers], "stub": [ways.stub_pid]})
        for each in drivers:
            _line(each)  # its connections are open
        with meter.measuring():
            for each in drivers:
                _begin(each)
            reports = [json.loads(_line(each)) for each in drivers]
    return row_of(len(ports), len(set(cores.measured)), reports, meter, seconds)


def row_of(gateways: int, cores: int, reports: Sequence[Row], meter: Meter, seconds: float) -> Row:
    """Return the row of one number of gateways."""
    requests = sum(each["requests"] for each in reports)
    return {
        "gateways": gateways,
        "on cores": cores,
        "requests/s": round(requests / seconds),
        "p99 ms, slowest gateway": max(each["p99"] for each in reports),
        "processor ms per request": round(1000 * meter.spent_seconds[GATEWAY] / max(1, requests), 3),
        "core share": meter.share(GATEWAY),
        "client share": meter.share("client"),
        "stub share": meter.share("stub"),
        "failed": sum(each["failed"] for each in reports),
    }


def goal_of(rows: Sequence[Row], available: int) -> Goal:
    """Judge requests per second and core against those of one gateway; shared cores say nothing."""
    text = f"requests/s grow with processes: >= {GOAL_EFFICIENCY:g} of n times one"
    own = [row for row in rows if row["on cores"] == row["gateways"]]
    if len(own) < 2:  # noqa: PLR2004  # one number alone is no growth
        return Goal(text, f"not measurable on {available} cores: two gateways, clients and pods need four", None)
    one, most = own[0], own[-1]
    efficiency = most["requests/s"] / (most["gateways"] * one["requests/s"])
    return Goal(text, f"{efficiency:.2f} at {most['gateways']}", efficiency >= GOAL_EFFICIENCY)


def drive(text: str) -> None:
    """Be one client process: say when it is ready, begin at a line on stdin, print the figures."""
    driver = Driver(**json.loads(text))
    request = request_of(model_name(0), SpokenText(chunks=1))

    async def load() -> Row:
        pool = Pool((driver.port,))
        await closed_loop(pool, request, 2 * driver.in_flight, driver.in_flight)
        print("ready", flush=True)
        sys.stdin.readline()
        outcomes = await for_seconds(pool, request, driver.seconds, driver.in_flight)
        pool.close()
        times = percentiles_ms(totals(outcomes))
        return {"requests": len(outcomes), "failed": sum(failures(outcomes).values())} | times

    print(json.dumps(uvloop.run(load())), flush=True)


def _driver(driver: Driver, cores: Cores) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), "--drive", json.dumps(asdict(driver))]
    return running(command, cores.others, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise SystemExit("a client process ended early; its message is above")
    return line


def _begin(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.write(os.linesep)
        process.stdin.flush()
