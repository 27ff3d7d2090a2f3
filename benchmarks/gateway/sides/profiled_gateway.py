"""The gateway under cProfile, by processor time: waiting and other processes on its core do not count.

Knows: the gateway's entry point. Does not know: what is measured meanwhile.

usage: profiled_gateway.py FILE SIGNAL     (the profile begins at SIGNAL, and is written after SIGTERM)
"""

from __future__ import annotations

import contextlib
import cProfile
import signal
import sys
import time

from voxfleet_gateway.__main__ import main


def run(profile: str, begin: int) -> None:
    """Serve until SIGTERM, then write the profile."""
    profiler = cProfile.Profile(time.process_time)
    signal.signal(begin, lambda *_: profiler.enable())
    sys.argv[1:] = []  # settings come from the environment, as in a container
    with contextlib.suppress(SystemExit):
        main()
    profiler.disable()
    profiler.dump_stats(profile)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
