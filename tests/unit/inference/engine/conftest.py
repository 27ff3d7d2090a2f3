"""An engine in a thread over the tone model, with a log of its reports; and the client of one, over a real pipe."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import Patch, Report, Sentence, SequenceEnded, StepDone, Stop, Submit
from voxfleet_inference.engine.scheduling.plans import Limits

PATIENCE_SECONDS = 60.0


class ReportLog:
    """Called with every report; can wait for one."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.news = threading.Condition()

    def __call__(self, report: Report) -> None:
        with self.news:
            self.reports.append(report)
            self.news.notify_all()

    def wait_for(self, condition: Any) -> None:
        with self.news:
            assert self.news.wait_for(lambda: condition(self.reports), timeout=PATIENCE_SECONDS), self.reports

    def ends(self) -> dict[int, SequenceEnded]:
        return {each.sequence_id: each for each in self.reports if isinstance(each, SequenceEnded)}

    def steps(self) -> list[StepDone]:
        return [each for each in self.reports if isinstance(each, StepDone)]

    def patches(self, sequence_id: int) -> list[Patch]:
        return [patch for step in self.steps() for patch in step.patches if patch.sequence_id == sequence_id]

    def wait_for_ends(self, count: int) -> dict[int, SequenceEnded]:
        self.wait_for(lambda _: len(self.ends()) >= count)
        return self.ends()


class RunningEngine:
    """An engine in a thread of its own."""

    def __init__(self, model: Any, limits: Limits) -> None:
        self.log = ReportLog()
        self.engine = Engine(model, limits, 0.16, self.log)
        self.thread = threading.Thread(target=self.engine.run, daemon=True)
        self.thread.start()

    def submit(self, sequence_id: int, text: str, **more: Any) -> None:
        self.engine.enqueue(Submit(Sentence(sequence_id=sequence_id, text=text, seed=sequence_id, **more)))

    def stop(self) -> None:
        self.engine.enqueue(Stop())
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def start_engine() -> Iterator[Callable[..., RunningEngine]]:
    """Starts engines, and stops them when the test is over."""
    started: list[RunningEngine] = []

    def start(model: Any, **limits: Any) -> RunningEngine:
        started.append(RunningEngine(model, Limits(**{"max_rows": 2, "max_waiting": 8, **limits})))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def running(tone_model: Any, start_engine: Callable[..., RunningEngine]) -> RunningEngine:
    return start_engine(tone_model)


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    return wait_until


@pytest.fixture
def report_log() -> ReportLog:
    return ReportLog()


class Pipe:
    """The client of an engine in a thread, and the reports that it delivered."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.reports: list[Report] = []
        self.client = EngineClient(engine.connection, self.reports.append)
        self.client.start()

    async def first_report(self) -> Report:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.reports:  # noqa: ASYNC110 - a test watches from outside
                await asyncio.sleep(0.005)
        return self.reports[0]

    async def end(self) -> None:
        self.client.close()
        await self.engine.join()


@pytest.fixture
def open_pipe() -> type[Pipe]:
    return Pipe


@pytest.fixture
async def pipe(tone_model: Any, tone_loaded: Any, start_engine_thread: Any) -> AsyncIterator[Pipe]:
    opened = Pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
    yield opened
    await opened.end()
