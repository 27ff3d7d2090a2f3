"""The engine process: `python -m voxfleet_inference.worker FD LEVEL`, started by the server, never by hand.

Knows: the number of the file descriptor that is its pipe, and the least severe line to log.
Does not know: anything else; its settings are the first thing that it reads.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Final

from voxfleet_inference.engine.process import serve_connection
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.model.cuda.writable_kernels import use_writable_kernels

CRASHED_EXIT_CODE: Final = 1


def main() -> None:
    """Serve the pipe; signals are the parent's business, and its end of the pipe is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    level = sys.argv[2]
    configure_logging(level)
    logging.getLogger("voxfleet_inference.model").setLevel(level.upper())  # how far loading is, among others
    # Threads that wait for one another spin for microseconds, then sleep: a neighbour else costs a step tenfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # read when torch is imported
    use_writable_kernels(os.environ)  # read when Triton is imported
    from voxfleet_inference.worker.loading import load_backend  # noqa: PLC0415 - torch belongs to this process

    try:
        exit_code = serve_connection(Connection(int(sys.argv[1])), load_backend)
    except BaseException:  # noqa: BLE001 - a device in error can keep a thread for ever: waiting for it is no farewell
        traceback.print_exc()
        exit_code = CRASHED_EXIT_CODE
    sys.stderr.flush()
    os._exit(exit_code)  # torch's threads need no farewell


if __name__ == "__main__":
    main()
