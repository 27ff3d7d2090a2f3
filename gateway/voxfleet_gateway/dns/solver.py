"""Solves linear programs in a process of its own, so that answers never wait for one.

Knows: that the process may die or take too long; then there is no solution, and a new process is started for the next.
Does not know: what is solved (solver_process.py); scipy is not even imported here.
"""

import asyncio
import pickle
import struct
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field

import structlog

from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import RoutingProblem, RoutingSolution
from voxfleet_gateway.dns.telemetry import SOLVE, SOLVE_FAILURES

SOLVE_LIMIT_SECONDS = 60.0  # 256 groups and 32 regions take below 1 s; the first call imports scipy
COMMAND = (sys.executable, "-m", "voxfleet_gateway.dns.solver_process")
LENGTH = struct.Struct("!I")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Solver:
    """The other process, started at the first problem."""

    limit_seconds: float = SOLVE_LIMIT_SECONDS
    command: tuple[str, ...] = COMMAND
    process: Process | None = field(default=None, init=False)

    async def solve(self, problem: RoutingProblem) -> RoutingSolution | None:
        """Return the solution; None when there is none or the process failed."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.limit_seconds):
                solution = await self._exchange(problem)
        except TimeoutError:
            await self._failed("timeout")
            return None
        except (OSError, EOFError) as error:  # it ended, of a bug or for memory
            await self._failed("process", str(error))
            return None
        SOLVE.observe(time.perf_counter() - started)
        if solution is None:
            SOLVE_FAILURES.labels("infeasible").inc()
        return solution

    async def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def _exchange(self, problem: RoutingProblem) -> RoutingSolution | None:
        if self.process is None:
            self.process = await asyncio.create_subprocess_exec(*self.command, stdin=PIPE, stdout=PIPE)
        sending, receiving = self.process.stdin, self.process.stdout
        if sending is None or receiving is None:
            raise EOFError("no pipes")
        content = pickle.dumps(problem)
        sending.write(LENGTH.pack(len(content)) + content)
        await sending.drain()
        size = LENGTH.unpack(await receiving.readexactly(LENGTH.size))[0]
        solution = pickle.loads(await receiving.readexactly(size))  # noqa: S301  # of the process started above
        return solution if isinstance(solution, RoutingSolution) else None

    async def _failed(self, reason: str, error: str = "") -> None:
        SOLVE_FAILURES.labels(reason).inc()
        log.warning("not_solved", reason=reason, error=error)
        await self.stop()
