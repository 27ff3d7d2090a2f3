"""Network namespaces of processes."""

from __future__ import annotations

import os
import socket

import pytest
from voxfleet_testbed.network.namespaces import network_namespace, socket_in

NO_PROCESS = 2**22 + 1  # beyond the kernel's largest process id


def test_a_namespace_has_an_identity_while_its_process_lives() -> None:
    assert network_namespace(os.getpid()) == network_namespace("self") != ""
    assert network_namespace(NO_PROCESS) == ""


def test_no_socket_is_made_in_the_namespace_of_no_process() -> None:
    with pytest.raises(FileNotFoundError):
        socket_in(NO_PROCESS, socket.SOCK_STREAM)
