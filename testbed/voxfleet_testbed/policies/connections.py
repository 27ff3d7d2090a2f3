"""Real connections between network namespaces, all at once: which of them come about.

Does: listens in the target's namespace, connects from the source's. Knows: a filter that drops says nothing, so an
attempt has failed when those that started after it have come about. Does not know: policies.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from voxfleet_testbed.network.namespaces import socket_in

WAIT_SECONDS = 30.0  # for what is expected to come about
GRACE_SECONDS = 1.5  # after it, for the rest: a first packet that is lost is sent again after 1 s
POLL_SECONDS = 0.1
CONNECT_SECONDS = 1.0
RESEND_SECONDS = 1.0
TOKEN_BYTES = 16
BACKLOG = 512  # no process accepts: the kernel completes each connection
KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}

Senders = Mapping[bytes, tuple["Attempt", socket.socket]]  # of datagrams, by what is in them


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection from the namespace of a process to an address; by UDP, a datagram that arrives."""

    source_pid: int
    address: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.protocol} from the namespace of {self.source_pid} to {self.address} port {self.port}"


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A port on which a peer listens, at one of its addresses."""

    pid: int
    address: str
    port: int
    protocol: str = "TCP"


@contextmanager
def listening(ports: Sequence[OpenPort]) -> Iterator[tuple[socket.socket, ...]]:
    """Listen for as long as the block runs; yields the sockets on which datagrams arrive.

    Raises:
        OSError: an address is not the peer's, or its port is taken.
    """
    with ExitStack() as opened:
        datagrams = []
        for each in ports:
            own = opened.enter_context(socket_in(each.pid, KINDS[each.protocol], _family(each.address)))
            own.bind((each.address, each.port))
            if each.protocol == "TCP":
                own.listen(BACKLOG)
            else:
                own.setblocking(False)
                datagrams.append(own)
        yield tuple(datagrams)


def reached(
    attempts: Sequence[Attempt], expected: Collection[Attempt], datagrams: Sequence[socket.socket]
) -> frozenset[Attempt]:
    """Start all attempts at once; return those that came about.

    Args:
        attempts: they start in this order: those that should fail first, because a filter takes packets in turn.
        expected: the attempts that are waited for, up to 30 s.
        datagrams: the sockets of `listening`.

    Raises:
        OSError: an attempt was refused, or has no route: nothing listens there, so it says nothing of filters.
    """
    found: set[Attempt] = set()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for each in datagrams:
            selector.register(each, selectors.EVENT_READ)
        senders: dict[bytes, tuple[Attempt, socket.socket]] = {}
        for attempt in attempts:
            own = opened.enter_context(socket_in(attempt.source_pid, KINDS[attempt.protocol], _family(attempt.address)))
            own.setblocking(False)
            if attempt.protocol == "UDP":
                senders[secrets.token_bytes(TOKEN_BYTES)] = (attempt, own)
            else:
                # The outcome is the socket's error, once it is writable.
                own.connect_ex((attempt.address, attempt.port))
                selector.register(own, selectors.EVENT_WRITE, attempt)
        _collect(found, selector, senders, WAIT_SECONDS, frozenset(expected))
        _collect(found, selector, senders, GRACE_SECONDS)
    return frozenset(found)


def connects(attempt: Attempt) -> bool:
    """Return whether one connection by TCP comes about now."""
    with socket_in(attempt.source_pid, KINDS["TCP"], _family(attempt.address)) as own:
        own.settimeout(CONNECT_SECONDS)
        return own.connect_ex((attempt.address, attempt.port)) == 0


def _collect(
    found: set[Attempt],
    selector: selectors.BaseSelector,
    senders: Senders,
    seconds: float,
    expected: frozenset[Attempt] | None = None,
) -> None:
    """Add what comes about in a time, or until all that is expected has; datagrams are sent again, as TCP does."""
    last = time.monotonic() + seconds
    next_sending = 0.0
    while time.monotonic() < last and not (expected is not None and found.issuperset(expected)):
        if time.monotonic() >= next_sending:
            for token, (attempt, own) in senders.items():
                if attempt not in found:
                    own.sendto(token, (attempt.address, attempt.port))
            next_sending = time.monotonic() + RESEND_SECONDS
        found.update(_arrived(selector, senders))


def _arrived(selector: selectors.BaseSelector, senders: Senders) -> Iterator[Attempt]:
    for key, _events in selector.select(POLL_SECONDS):
        own = key.fileobj
        assert isinstance(own, socket.socket)  # noqa: S101 - only sockets are registered
        if key.data is None:
            token = own.recv(TOKEN_BYTES)
            if token in senders:  # not one of an earlier call, which came late
                yield senders[token][0]
            continue
        if error := own.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, f"{key.data}: {os.strerror(error)}")
        selector.unregister(own)
        yield key.data


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
