"""Reports: what a plan gets of them, when a region is out, and that one slow region delays no other."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp
import pytest
from voxfleet_gateway.decisions.dns.planning import ModelReport as PlannedReport
from voxfleet_gateway.dns.inputs.reports import RegionReports, model_reports
from voxfleet_gateway.peers.client import PeerClient
from voxfleet_gateway.peers.report import ModelReport, RegionReport, format_report

EU, ASIA = ("eu", "https://eu.example.net"), ("asia", "https://asia.example.net/")
SECONDS = 20


def report(region: str, **row: Any) -> RegionReport:
    model = ModelReport(namespace="a", name="vox", **{"ready_pods": 1, "rows": 8, **row})
    return RegionReport(region=region, at=datetime.now(UTC), models=(model,))


@dataclass
class Response:
    status: int
    body: bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        return

    @property
    def content(self) -> "Response":
        return self

    async def readany(self) -> bytes:
        body, self.body = self.body, b""
        return body

    def close(self) -> None:
        self.body = b""


@dataclass
class Session:
    """Responds by host; a function may raise or wait."""

    responses: dict[str, Callable[[], Response]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def get(self, url: str, *, server_hostname: str, **_options: Any) -> Response:
        self.asked.append((url, server_hostname))
        return self.responses[server_hostname]()


class Tls:
    client = None


def reports(session: Session, on_change: Callable[[], None] = lambda: None) -> RegionReports:
    return RegionReports(PeerClient(session, Tls()), 0.01, on_change)  # type: ignore[arg-type]


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_true():  # noqa: ASYNC110  # polls run in tasks of their own
            await asyncio.sleep(0.005)


def good(region: str) -> Callable[[], Response]:
    return lambda: Response(200, format_report(report(region, open_requests=3)))


def fail(error: Exception) -> Callable[[], Response]:
    def raising() -> Response:
        raise error

    return raising


def test_what_plans_get_of_a_report() -> None:
    found = model_reports(
        report("eu", open_requests=3, held_requests=1, arrivals_by_country={"DE": 2.0, "": 5.0}).model_copy(
            update={"replicas": 2}
        )
    )
    assert found == {"a/vox": PlannedReport(8.0, 8.0, {"DE": 4.0})}
    assert model_reports(report("eu", ready_pods=0))["a/vox"].ready_slots == 0


async def test_regions_are_asked_by_their_names_and_reported_on() -> None:
    changes: list[int] = []
    session = Session({"eu": good("eu"), "asia": good("asia")})
    found = reports(session, lambda: changes.append(1))
    found.follow({EU, ASIA})
    await until(lambda: all(found.sources[each].received_at is not None for each in (EU, ASIA)))
    assert set(session.asked) == {
        ("https://eu.example.net/internal/region", "eu"),
        ("https://asia.example.net/internal/region", "asia"),
    }
    state = found.state(EU, found.sources[EU].received_at or 0)
    assert (state.is_reporting, state.admission, state.models["a/vox"].open_requests) == (True, 1.0, 3.0)
    assert len(changes) == 2
    found.follow({EU})
    assert set(found.sources) == {EU}
    await found.stop()


@pytest.mark.parametrize(
    "response",
    [
        fail(aiohttp.ClientError("refused")),
        fail(OSError("unreachable")),
        fail(TimeoutError()),
        fail(RuntimeError("a mistake")),
        lambda: Response(503, b""),
        lambda: Response(200, b"{}"),
        good("asia"),  # by the certificate of eu
    ],
)
async def test_a_region_that_fails_is_out_and_returns_after_three_successes(response: Callable[[], Response]) -> None:
    session = Session({"eu": good("eu")})
    changes: list[int] = []
    found = reports(session, lambda: changes.append(1))
    found.follow({EU})
    await until(lambda: found.sources[EU].received_at is not None)
    session.responses["eu"] = response
    await until(lambda: found.sources[EU].health.is_out)
    assert found.state(EU, 1e12).admission == 0
    assert len(changes) == 2
    session.responses["eu"] = good("eu")
    await until(lambda: not found.sources[EU].health.is_out)
    state = found.state(EU, found.sources[EU].health.returned_at or 0)
    assert state.admission == pytest.approx(0.1)
    await found.stop()


async def test_one_failed_attempt_is_no_failure() -> None:
    """A connection that the gateway closed since the last report."""
    attempts = iter([fail(aiohttp.ServerDisconnectedError()), good("eu")] * 1000)

    def attempt() -> Response:
        return next(attempts)()

    session = Session({"eu": attempt})
    found = reports(session)
    found.follow({EU})
    await until(lambda: len(session.asked) >= 8)
    assert not found.sources[EU].health.is_out
    await found.stop()


async def test_a_region_that_is_not_asked_is_taken_as_healthy() -> None:
    state = reports(Session()).state(EU, 0)
    assert (state.admission, state.is_reporting) == (1.0, False)


async def test_an_old_report_is_not_used() -> None:
    session = Session({"eu": good("eu")})
    found = reports(session)
    found.follow({EU})
    await until(lambda: found.sources[EU].received_at is not None)
    assert not found.state(EU, (found.sources[EU].received_at or 0) + 1).is_reporting
    await found.stop()


async def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.dns.inputs.reports.MAX_SOURCES", 1)
    found = reports(Session({"eu": good("eu"), "asia": good("asia")}))
    found.follow({EU, ASIA})
    assert set(found.sources) == {ASIA}
    await found.stop()
