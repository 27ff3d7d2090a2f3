from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection

from voxfleet_inference.engine.spawning import spawn_engine


def test_the_engine_process_ignores_sigint_and_sigterm() -> None:
    """A terminal's Ctrl-C reaches both processes; the server drains, so the engine has to go on."""
    ours, theirs = socket.socketpair()
    source = (
        "import sys, voxfleet_inference.worker.__main__ as m;"
        "m.serve_connection = lambda connection, load: print('up', flush=True) or int(connection.recv());"
        "sys.modules['voxfleet_inference.worker.loading'] = type(sys)('loading');"
        "sys.modules['voxfleet_inference.worker.loading'].load_backend = None;"
        "sys.argv = ['engine', sys.argv[1]]; m.main()"
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


def test_an_engine_process_whose_server_ends_before_its_settings_ends_quietly() -> None:
    """As after a wrong flag: the engine process started before the flags were read."""
    spawned = spawn_engine()
    spawned.socket.close()
    assert spawned.process.wait(120) == 0


LOGGING = """
import importlib, logging, sys
getattr(importlib.import_module(f"voxfleet_inference.{sys.argv[1]}"), sys.argv[2])("info")
logging.getLogger("voxfleet_inference.model").warning("%d %% of %s read", 25, "caf\u00e9")
logging.getLogger("other").info("not needed")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("other").exception("failed")
"""


def test_the_log_has_the_form_of_the_servers() -> None:
    lines: list[list[dict[str, str]]] = []
    for module, function in (("logs", "configure_logging"), ("worker.logs", "configure_worker_logging")):
        command = [sys.executable, "-c", LOGGING, module, function]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        lines.append([json.loads(line) for line in printed.splitlines()])
    for server_line, worker_line in zip(*lines, strict=True):
        assert server_line.keys() == worker_line.keys()
        assert {**server_line, "timestamp": ""} == {**worker_line, "timestamp": ""}
        assert len(server_line["timestamp"]) == len(worker_line["timestamp"])
    assert len(lines[0]) == 2
