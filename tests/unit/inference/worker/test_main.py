from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection


def test_the_engine_process_ignores_sigint_and_sigterm() -> None:
    """A terminal's Ctrl-C reaches both processes; the server drains, so the engine has to go on."""
    ours, theirs = socket.socketpair()
    source = (
        "import sys, voxfleet_inference.worker.__main__ as m;"
        "m.serve_connection = lambda connection, load: print('up', flush=True) or int(connection.recv());"
        "sys.modules['voxfleet_inference.worker.loading'] = type(sys)('loading');"
        "sys.modules['voxfleet_inference.worker.loading'].load_backend = None;"
        "sys.argv = ['engine', sys.argv[1], 'info']; m.main()"
    )
    command = [sys.executable, "-c", source, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as process:
        theirs.close()
        with ours:  # closed in any case, which ends the process
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            assert process.poll() is None
            Connection(os.dup(ours.fileno())).send(7)
            assert process.wait(60) == 7
