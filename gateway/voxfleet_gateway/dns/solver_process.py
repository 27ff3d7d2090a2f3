"""The process that solves linear programs: problems on standard input, solutions on standard output.

Knows: framing, a length and a pickled value; both ends are this program, and no other process has the pipes.
Does not know: when a problem is solved (solver.py).
"""

import pickle
import struct
import sys
from typing import BinaryIO

from voxfleet_gateway.decisions.dns.demand_shares.linear_program import solve

LENGTH = struct.Struct("!I")


def frame(value: object) -> bytes:
    """Return a value's length and its bytes."""
    content = pickle.dumps(value)
    return LENGTH.pack(len(content)) + content


def run(problems: BinaryIO, solutions: BinaryIO) -> None:
    """Solve until the input ends."""
    while len(head := problems.read(LENGTH.size)) == LENGTH.size:
        problem = pickle.loads(problems.read(LENGTH.unpack(head)[0]))  # noqa: S301  # of the process that started this
        solutions.write(frame(solve(problem)))
        solutions.flush()


if __name__ == "__main__":
    run(sys.stdin.buffer, sys.stdout.buffer)
