"""The engine process: `python -m voxfleet_inference.worker FD`, started by the server, never by hand.

Knows: its argument, the pipe's file descriptor, and what must be set before torch is imported.
Does not know: its settings, which are the first message on the pipe; it imports torch before they come.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Final

from voxfleet_inference.engine.messages import Loaded
from voxfleet_inference.engine.model_backend import ModelBackend
from voxfleet_inference.engine.process import EngineSettings, serve_connection
from voxfleet_inference.model.cuda.writable_kernels import use_writable_kernels
from voxfleet_inference.worker.logs import configure_worker_logging

CRASHED_EXIT_CODE: Final = 1  # as Python's own after an exception that nothing caught


def main() -> None:
    """Serve the pipe until it ends or a Stop comes.

    Signals are ignored: a terminal's Ctrl-C reaches this process too, while the server still drains its requests.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # OpenMP threads that wait for one another spin for microseconds, then sleep: with endless spinning, another process
    # on the same processors made a step ten times as long. libgomp reads this when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    use_writable_kernels(os.environ)  # Triton reads it when it is imported
    gc.disable()  # importing makes a million objects that stay: collections among them find nothing
    from voxfleet_inference.worker.loading import load_backend  # noqa: PLC0415 - imports torch, after the variables

    gc.freeze()
    gc.enable()

    def load(settings: EngineSettings) -> tuple[ModelBackend, Loaded]:
        configure_worker_logging(settings.log_level)
        return load_backend(settings)

    try:
        exit_code = serve_connection(Connection(int(sys.argv[1])), load)
    except BaseException:  # noqa: BLE001 - exit at once: a thread can be blocked for ever by a device in error
        traceback.print_exc()
        exit_code = CRASHED_EXIT_CODE
    sys.stderr.flush()
    os._exit(exit_code)  # without joining threads or running exit handlers, for the same reason


if __name__ == "__main__":
    main()
