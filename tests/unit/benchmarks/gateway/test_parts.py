"""The rows and goals that parts make of outcomes, and the cores of each process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from voxfleet_gateway.cluster.endpoint_watch import endpoints_of
from voxfleet_gateway.decisions.demand_lease import parse_lease
from voxfleet_gateway.regions import parse_entry

Load = Callable[[str], Any]


@pytest.fixture
def measured(load: Load) -> Callable[..., Any]:
    """Make what was measured of one way from the times of its requests."""
    outcomes, part, ways, processes = map(load, ("clients.outcomes", "parts.part", "sides.ways", "sides.processes"))

    def make(name: str, seconds: list[float], spent_seconds: float | None = None, error: str | None = None) -> Any:
        meter = processes.Meter({})
        meter.elapsed_seconds = 10.0
        meter.spent_seconds = {"client": 2.0, "stub": 1.0} | ({} if spent_seconds is None else {name: spent_seconds})
        each = [
            outcomes.Outcome(0.0, first_at=value, ended_at=2 * value, body_bytes=14_112, error=error)
            for value in seconds
        ]
        return part.Measured(ways.Way(name, (1,), () if spent_seconds is None else (7,)), meter, each)

    return make


def test_a_way_is_compared_with_direct_requests_and_with_nginx(load: Load, measured: Any) -> None:
    ways = {
        "direct": measured("direct", [0.001] * 100),
        "nginx": measured("nginx", [0.0012] * 100, spent_seconds=0.01),
        "gateway": measured("gateway", [0.003] * 100, spent_seconds=0.06),
    }
    first_byte = load("parts.first_byte")
    direct, nginx, gateway = first_byte.rows_of(ways, "4 in flight")
    assert (direct["processor ms per request"], direct["x nginx"], direct["core share"]) == (None, None, None)
    assert (nginx["x nginx"], gateway["x nginx"]) == (1.0, 6.0)
    assert gateway["processor ms per request"] == pytest.approx(0.6)
    assert gateway["added p95"] == pytest.approx(2.0)
    assert (gateway["client share"], gateway["stub share"], gateway["core share"]) == (0.2, 0.1, 0.006)
    goal = first_byte.goal_of(ways, "4 in flight")
    assert goal.is_met
    assert goal.measured == "2.00 ms"


def test_without_nginx_its_columns_are_missing(load: Load, measured: Any) -> None:
    ways = {"direct": measured("direct", [0.001]), "gateway": measured("gateway", [0.003], spent_seconds=0.06)}
    rows = load("parts.throughput").rows_of(ways, 1000)
    assert [row["way"] for row in rows] == ["direct", "gateway"]
    assert rows[1]["x nginx"] is None


@pytest.mark.parametrize(
    ("seconds", "error", "is_met"), [(0.05, None, True), (0.051, None, False), (0.01, "cut off", False)]
)
def test_the_goal_of_the_rate(load: Load, measured: Any, seconds: float, error: str | None, *, is_met: bool) -> None:
    gateway = measured("gateway", [seconds] * 10, spent_seconds=0.1, error=error)
    assert load("parts.throughput").goal_of(gateway, 1000).is_met is is_met


def test_the_goal_of_streams_counts_late_chunks_and_failures(load: Load, measured: Any) -> None:
    streams, audio = load("parts.streams"), load("clients.audio")
    gateway = measured("gateway", [0.001] * 2, spent_seconds=0.1)
    assert streams.goal_of(gateway, 2).is_met
    gateway.outcomes[0].chunks = audio.ChunkTiming([1.0], [1.2])
    assert streams.goal_of(gateway, 2).measured == "0 underruns, 1 late chunks, 0 failed"
    assert not streams.goal_of(gateway, 2).is_met


def test_most_requests_of_a_wake_arrive_while_it_lasts(load: Load) -> None:
    cold = load("parts.cold")
    arrivals = cold.arrivals(3)
    assert [each.due_seconds for each in arrivals] == sorted(each.due_seconds for each in arrivals)
    assert sum(each.is_first for each in arrivals) == 3
    for region in range(3):
        due = [each.due_seconds for each in arrivals if each.region == region]
        assert len(due) == cold.PER_WAKE
        assert max(due) - min(due) < cold.WAKE_SECONDS


def test_failed_cold_starts_have_no_time_and_are_counted(load: Load) -> None:
    cold, outcomes, processes = load("parts.cold"), load("clients.outcomes"), load("sides.processes")
    arrivals, meter = cold.arrivals(1), processes.Meter({})
    meter.elapsed_seconds, meter.spent_seconds = 2.0, {"gateway": 0.02}
    served = [outcomes.Outcome(0.0, first_at=1.0 - 0.1 * number, error=None) for number in range(9)]
    row = cold.row_of(arrivals, [*served, outcomes.Outcome(0.0, error="status 503")], meter)
    assert (row["requests"], row["failed"]) == (10, {"status 503": 1})
    assert (row["mean s"], row["first of a wake, mean s"]) == (0.6, 1.0)


def test_growth_is_judged_only_where_every_gateway_has_a_core(load: Load) -> None:
    scaling = load("parts.scaling")
    one = {"gateways": 1, "on cores": 1, "requests/s": 1000}
    assert scaling.goal_of([one, {"gateways": 2, "on cores": 1, "requests/s": 1000}], 2).is_met is None
    assert scaling.goal_of([one, {"gateways": 2, "on cores": 2, "requests/s": 1900}], 4).is_met is True
    assert scaling.goal_of([one, {"gateways": 2, "on cores": 2, "requests/s": 1700}], 4).is_met is False


@pytest.mark.parametrize(
    ("available", "processes", "measured", "others"),
    [
        ((0,), 1, (0,), (0,)),
        ((0, 1), 1, (0,), (1,)),
        ((0, 1), 2, (0,), (1,)),
        ((0, 1, 2, 3), 2, (0, 1), (2, 3)),
        ((4, 5, 6, 7), 1, (4,), (5, 6, 7)),
        (tuple(range(8)), 4, (0, 1, 2, 3), (4, 5, 6, 7)),
    ],
)
def test_cores_of_measured_processes_are_theirs(
    load: Load, available: tuple[int, ...], processes: int, measured: tuple[int, ...], others: tuple[int, ...]
) -> None:
    cores = load("sides.processes").split_cores(available, processes)
    assert (cores.measured, cores.others) == (measured, others)
    assert cores.are_shared is (len(available) == 1)


def test_a_busy_client_is_noted(load: Load) -> None:
    part, processes = load("parts.part"), load("sides.processes")
    result = part.Result("x")
    idle = {"way": "nginx", "client share": 0.6, "stub share": 0.2}
    busy = {"way": "direct", "client share": 0.7, "stub share": 0.2}
    result.note_load([idle, busy], processes.Cores((0,), (1,)))
    assert [note.partition(":")[0] for note in result.notes] == ["direct"]
    assert "used 0.90 of their cores" in result.notes[0]


def test_only_lines_with_a_decision_are_counted(load: Load) -> None:
    log = '{"event":"listening"}\n{"decision":{},"event":"request"}\nTraceback\n{"event":"request"}\n'
    assert load("parts.decisions").request_lines(log) == ['{"decision":{},"event":"request"}']


def test_nginx_keeps_connections_and_buffers_nothing(load: Load) -> None:
    text = load("sides.nginx").configuration(Path("/tmp/x"), 8080, (1, 2))  # noqa: S108  # nothing is written
    assert text.count("{") == text.count("}")
    for line in (
        "server 127.0.0.1:1;",
        "server 127.0.0.1:2;",
        "keepalive 2048;",
        "listen 127.0.0.1:8080 backlog=4096;",
    ):
        assert line in text
    for line in ("proxy_http_version 1.1;", 'proxy_set_header Connection "";', "proxy_buffering off;"):
        assert line in text


def test_the_registry_reads_what_the_stub_writes(load: Load) -> None:

    scenario = load("sides.scenario")
    described = scenario.Scenario(regions=32, is_asleep=True)
    entry = parse_entry(scenario.configmap(0, described)["data"])
    assert len({region.name for region in entry.regions}) == 32
    assert {region.phase for region in entry.regions} == {"Asleep"}
    [endpoint] = endpoints_of(scenario.endpoint_slice(0, 0, 4711, is_ready=False))
    assert (endpoint.address.http_port, endpoint.is_ready) == (4711, False)
    assert parse_lease(scenario.lease(0, 0, None)).renew_time is None
    assert scenario.Scenario.of(described.to_json()) == described
