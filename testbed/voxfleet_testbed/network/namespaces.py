"""Sockets in the network namespaces of other processes.

Knows: setns(2) changes the thread that calls it, and a socket stays in the namespace that it was made in.
Does not know: what a namespace is connected to.
"""

from __future__ import annotations

import ctypes
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLONE_NEWNET = 0x40000000  # linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)


def socket_in(pid: int, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Return a new socket in the network namespace of a process.

    Raises:
        OSError: there is no such process, or entering its namespace needs more rights.
    """
    # A thread of its own, which ends in the other namespace: this one stays where it is.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_socket_after_entering, Path(f"/proc/{pid}/ns/net"), kind, family).result()


def network_namespace(pid: int | str) -> str:
    """Return the identity of a process's network namespace; empty where there is no such process."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def _socket_after_entering(namespace: Path, kind: socket.SocketKind, family: socket.AddressFamily) -> socket.socket:
    with namespace.open("rb") as entered:
        if _LIBC.setns(entered.fileno(), CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"cannot enter {namespace}: {os.strerror(error)}")
    return socket.socket(family, kind)
