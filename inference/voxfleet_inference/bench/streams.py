"""Sends the speech requests of a run and records when the bytes of each response arrived.

Knows: OpenAI's speech request, its errors, and the clock of the run.
Does not know: percentiles, tables or signals.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from voxfleet_inference.bench.audio_time import KEPT_BYTES, seconds_in
from voxfleet_inference.bench.http_client import HTTP_OK, RequestError, Response, Target, post
from voxfleet_inference.bench.outcomes import RequestOutcome
from voxfleet_inference.bench.playback import Arrival
from voxfleet_inference.bench.schedule import Plan, due_times

_KEEP_ALL: Final = 2**62
_RATE_HEADER: Final = "voxfleet-sample-rate"
_SHOWN_BYTES: Final = 200  # of an error body that is no JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTemplate:
    """What all requests of a run have in common; each has one of `texts` as `input`."""

    target: Target
    texts: Sequence[str]
    body: dict[str, Any]  # everything but `input`
    audio_format: str
    pcm_rate: int
    timeout_seconds: float


@dataclass(slots=True)
class _ReceivedBody:
    """The bytes of one response with their arrival times."""

    run_started: float
    kept_bytes: int
    marks: list[tuple[float, int]] = field(default_factory=list)  # (seconds since the start of the run, bytes so far)
    kept: bytearray = field(default_factory=bytearray)
    length: int = 0

    def append(self, data: bytes) -> None:
        self.length += len(data)
        self.marks.append((time.perf_counter() - self.run_started, self.length))
        if len(self.kept) < self.kept_bytes:
            self.kept += data


@dataclass(frozen=True, slots=True)
class _Ended:
    """A response whose audio is decoded after the run: decoding would slow the client down while it measures."""

    body: _ReceivedBody
    outcome: RequestOutcome
    sample_rate: int


@dataclass(slots=True)
class Streams:
    """The requests of a run; the counts may be read while it runs."""

    template: RequestTemplate
    plan: Plan
    ended: list[_Ended] = field(default_factory=list)
    open_streams: int = 0
    started: float = field(default_factory=time.perf_counter)
    error_messages: dict[str, str] = field(default_factory=dict)  # the first message of each kind of error
    _sent: int = 0

    @property
    def now(self) -> float:
        """Seconds since the start of the run."""
        return time.perf_counter() - self.started

    @property
    def failed(self) -> int:
        """Requests that ended without a complete response."""
        return sum(each.outcome.error is not None for each in self.ended)

    @property
    def unfinished(self) -> int:
        """Requests that were sent and have not ended."""
        return self._sent - len(self.ended)

    async def run(self) -> None:
        """Send requests until the plan is done; after a cancellation, what was measured remains."""
        async with asyncio.TaskGroup() as group:
            if self.plan.rate is None:
                for _ in range(self.plan.concurrency):
                    group.create_task(self._closed_loop())
            else:
                await self._open_loop(group)

    async def _closed_loop(self) -> None:
        while self.plan.has_more(self._sent, self.now):
            await self._send(self.now)

    async def _open_loop(self, group: asyncio.TaskGroup) -> None:
        streams = asyncio.Semaphore(self.plan.concurrency)
        for due_at in due_times(self.plan):
            await asyncio.sleep(max(0.0, due_at - self.now))
            await streams.acquire()  # the wait counts: latency is measured from due_at
            group.create_task(self._send(due_at)).add_done_callback(lambda _: streams.release())

    async def _send(self, due_at: float) -> None:
        text = self.template.texts[self._sent % len(self.template.texts)]
        self._sent += 1
        self.open_streams += 1
        body = _ReceivedBody(self.started, KEPT_BYTES.get(self.template.audio_format, _KEEP_ALL))
        sent_at, rate, error = self.now, self.template.pcm_rate, None
        try:
            async with asyncio.timeout(self.template.timeout_seconds):
                response = await post(self.template.target, self._body(text), body.append)
            rate = int(response.headers.get(_RATE_HEADER, rate))
            if response.status != HTTP_OK:
                error, message = _error_of(response)
                self.error_messages.setdefault(error, message)
        except TimeoutError:
            error = f"not complete within {self.template.timeout_seconds:g} s"
        except RequestError as failed:
            error = str(failed)
        finally:
            self.open_streams -= 1
        self.ended.append(_Ended(body, RequestOutcome(due_at, sent_at, self.now, error=error), rate))

    def _body(self, text: str) -> bytes:
        return json.dumps(self.template.body | {"input": text}, ensure_ascii=False).encode()

    def outcomes(self) -> list[RequestOutcome]:
        """Return the outcomes of all ended requests; decodes their audio, so call it after the run."""
        return [_with_arrivals(each, self.template.audio_format) for each in self.ended]


def _with_arrivals(ended: _Ended, audio_format: str) -> RequestOutcome:
    body, outcome = ended.body, ended.outcome
    if not body.length:
        return outcome if outcome.error else replace(outcome, error="no audio")
    try:
        seconds = seconds_in(audio_format, bytes(body.kept), ended.sample_rate)
    except ValueError as unreadable:
        return outcome if outcome.error else replace(outcome, error=f"{audio_format}: {unreadable}")
    # Of a failed request too: audio that arrived counts in the throughput.
    arrivals = tuple(Arrival(at, seconds(length)) for at, length in body.marks)
    if not outcome.error and not arrivals[-1].audio_seconds:
        return replace(outcome, error="no audio")
    return replace(outcome, arrivals=arrivals)


def _error_of(response: Response) -> tuple[str, str]:
    """Return the status with OpenAI's error code, and its message; of any other body its beginning."""
    try:
        error = json.loads(response.error_body)["error"]
        code, message = error.get("code"), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = None, response.error_body[:_SHOWN_BYTES].decode(errors="replace")
    return f"{response.status} {code}" if code else str(response.status), message
