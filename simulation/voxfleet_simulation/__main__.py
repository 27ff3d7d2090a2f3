"""`python -m voxfleet_simulation SCENARIO`: the same as `voxfleet simulate SCENARIO`."""

import sys

from voxfleet_simulation.commands import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
