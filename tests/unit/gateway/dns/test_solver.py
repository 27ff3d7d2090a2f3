"""The process that solves may end, hang or send nonsense: there is no solution then, and a new one for the next."""

import io
import sys

import pytest
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import (
    GroupDemand,
    RegionSupply,
    RoutingProblem,
    RoutingSolution,
)
from voxfleet_gateway.dns import solver_process
from voxfleet_gateway.dns.solver import Solver

PROBLEM = RoutingProblem((RegionSupply("eu", 8),), (GroupDemand(ClientGroup("DE"), 1, (0.03,)),))
# Answers every problem, without scipy.
QUICK = """
import sys, pickle, struct
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import RoutingSolution
while head := sys.stdin.buffer.read(4):
    problem = pickle.loads(sys.stdin.buffer.read(struct.unpack("!I", head)[0]))
    content = pickle.dumps(RoutingSolution({problem.groups[0].group: {"eu": 1.0}}))
    sys.stdout.buffer.write(struct.pack("!I", len(content)) + content)
    sys.stdout.buffer.flush()
"""


async def test_problems_are_solved_by_one_process() -> None:
    solver = Solver(command=(sys.executable, "-c", QUICK))
    first = await solver.solve(PROBLEM)
    assert first == RoutingSolution({ClientGroup("DE"): {"eu": 1.0}})
    process = solver.process
    assert await solver.solve(PROBLEM) == first
    assert solver.process is process
    await solver.stop()
    assert process is not None
    assert process.returncode is not None


@pytest.mark.parametrize(
    ("script", "limit_seconds"),
    [("import time; time.sleep(600)", 0.2), ("", 60.0), ("import os; os.write(1, b'x')", 60.0)],
)
async def test_a_process_that_fails_is_replaced(script: str, limit_seconds: float) -> None:
    solver = Solver(limit_seconds, (sys.executable, "-c", script))
    assert await solver.solve(PROBLEM) is None
    assert solver.process is None
    solver.limit_seconds, solver.command = 60.0, (sys.executable, "-c", QUICK)
    assert await solver.solve(PROBLEM) is not None
    await solver.stop()


async def test_a_program_that_cannot_be_started_is_no_solution() -> None:
    assert await Solver(command=("/nonexistent/program",)).solve(PROBLEM) is None


def test_the_process_solves_what_it_reads() -> None:
    problems = io.BytesIO(solver_process.frame(PROBLEM) * 2)
    solutions = io.BytesIO()
    solver_process.run(problems, solutions)
    assert solutions.getvalue() == solver_process.frame(solver_process.solve(PROBLEM)) * 2
