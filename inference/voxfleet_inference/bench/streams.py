"""Speech requests, one after another or many at once, each with the moments at which its audio arrived.

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
from voxfleet_inference.bench.http_client import HTTP_OK, Answer, RequestError, Target, post
from voxfleet_inference.bench.outcomes import Outcome
from voxfleet_inference.bench.playback import Arrival
from voxfleet_inference.bench.schedule import Plan, due_times

_ALL_OF_IT: Final = 2**62
_RATE_HEADER: Final = "voxfleet-sample-rate"
_SHOWN_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What every request asks for."""

    target: Target
    texts: Sequence[str]
    body: dict[str, Any]  # everything but `input`
    audio_format: str
    pcm_rate: int
    timeout_seconds: float


@dataclass(slots=True)
class _Heard:
    """Bytes of one answer, as they came."""

    began: float
    kept_bytes: int
    marks: list[tuple[float, int]] = field(default_factory=list)  # (moment, bytes so far)
    kept: bytearray = field(default_factory=bytearray)
    length: int = 0

    def hear(self, data: bytes) -> None:
        self.length += len(data)
        self.marks.append((time.perf_counter() - self.began, self.length))
        if len(self.kept) < self.kept_bytes:
            self.kept += data


@dataclass(frozen=True, slots=True)
class _Ended:
    """An answer whose bytes are still to be read as audio, which can wait until nothing is being measured."""

    heard: _Heard
    outcome: Outcome
    sample_rate: int


@dataclass(slots=True)
class Streams:
    """A run of requests; what is measured can be read at any time."""

    asking: Asking
    plan: Plan
    ended: list[_Ended] = field(default_factory=list)
    open_streams: int = 0
    began: float = field(default_factory=time.perf_counter)
    said: dict[str, str] = field(default_factory=dict)  # by the error's kind, what the server said the first time
    _begun: int = 0

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began

    @property
    def failed(self) -> int:
        """Requests that ended without a complete answer."""
        return sum(each.outcome.error is not None for each in self.ended)

    @property
    def unfinished(self) -> int:
        """Requests that were begun and have not ended."""
        return self._begun - len(self.ended)

    async def run(self) -> None:
        """Until the plan is done; cancelled, it keeps what was measured."""
        async with asyncio.TaskGroup() as group:
            if self.plan.rate is None:
                for _ in range(self.plan.concurrency):
                    group.create_task(self._listen_again_and_again())
            else:
                await self._let_them_come(group)

    async def _listen_again_and_again(self) -> None:
        while self.plan.has_more(self._begun, self.now):
            await self._one(self.now)

    async def _let_them_come(self, group: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(self.plan.concurrency)
        for due_at in due_times(self.plan):
            await asyncio.sleep(max(0.0, due_at - self.now))
            await room.acquire()  # a request kept waiting here is measured from its due time all the same
            group.create_task(self._one(due_at)).add_done_callback(lambda _: room.release())

    async def _one(self, due_at: float) -> None:
        text = self.asking.texts[self._begun % len(self.asking.texts)]
        self._begun += 1
        self.open_streams += 1
        heard = _Heard(self.began, KEPT_BYTES.get(self.asking.audio_format, _ALL_OF_IT))
        sent_at, rate, error = self.now, self.asking.pcm_rate, None
        try:
            async with asyncio.timeout(self.asking.timeout_seconds):
                answer = await post(self.asking.target, self._body(text), heard.hear)
            rate = int(answer.headers.get(_RATE_HEADER, rate))
            if answer.status != HTTP_OK:
                error, message = _refusal(answer)
                self.said.setdefault(error, message)
        except TimeoutError:
            error = f"not complete within {self.asking.timeout_seconds:g} s"
        except RequestError as failed:
            error = str(failed)
        finally:
            self.open_streams -= 1
        self.ended.append(_Ended(heard, Outcome(due_at, sent_at, self.now, error=error), rate))

    def _body(self, text: str) -> bytes:
        return json.dumps(self.asking.body | {"input": text}, ensure_ascii=False).encode()

    def outcomes(self) -> list[Outcome]:
        """What became of the requests that ended; reads compressed audio, so not while something is measured."""
        return [_with_arrivals(each, self.asking.audio_format) for each in self.ended]


def _with_arrivals(ended: _Ended, audio_format: str) -> Outcome:
    heard, outcome = ended.heard, ended.outcome
    if not heard.length:
        return outcome if outcome.error else replace(outcome, error="no audio")
    try:
        seconds = seconds_in(audio_format, bytes(heard.kept), ended.sample_rate)
    except ValueError as unreadable:
        return outcome if outcome.error else replace(outcome, error=f"{audio_format}: {unreadable}")
    arrivals = tuple(Arrival(at, seconds(length)) for at, length in heard.marks)
    if not outcome.error and not arrivals[-1].audio_seconds:
        return replace(outcome, error="no audio")
    return replace(outcome, arrivals=arrivals)


def _refusal(answer: Answer) -> tuple[str, str]:
    """Status with OpenAI's code, and its message; of any other body the beginning."""
    try:
        error = json.loads(answer.error_body)["error"]
        code, message = error.get("code"), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = None, answer.error_body[:_SHOWN_BYTES].decode(errors="replace")
    return f"{answer.status} {code}" if code else str(answer.status), message
