"""Reads the round trip that the kernel has measured on a TCP connection.

Knows: Linux's struct tcp_info, whose fields keep their places. The smallest round trip of the last minutes is taken:
the handshake is in it, and neither delayed acknowledgements nor queues are.
"""

import asyncio
import socket
import struct

RTT_OFFSET, MIN_RTT_OFFSET = 68, 148  # tcpi_rtt, tcpi_min_rtt: 32 bits, in microseconds
TCP_INFO_BYTES = 152
UNMEASURED = 2**32 - 1


def round_trip_seconds(transport: asyncio.BaseTransport | None) -> float | None:
    """Return the round trip of the transport's connection; None where the system does not report it."""
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except (OSError, AttributeError):  # closed meanwhile, no TCP, no Linux
        return None
    if len(info) < TCP_INFO_BYTES:
        return None
    (smallest,) = struct.unpack_from("=I", info, MIN_RTT_OFFSET)
    (smoothed,) = struct.unpack_from("=I", info, RTT_OFFSET)
    microseconds = smallest if 0 < smallest < UNMEASURED else smoothed
    return microseconds / 1e6 if microseconds else None
