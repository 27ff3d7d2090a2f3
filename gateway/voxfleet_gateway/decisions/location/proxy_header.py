"""The header with which a TCP load balancer begins a connection: PROXY protocol, versions 1 and 2. Pure.

Knows: both forms, and how many bytes may be read next, so that a reader takes nothing that belongs to TLS or HTTP.
Does not know: sockets, which peers may send a header (the specification forbids guessing).
"""

import struct
from collections.abc import Generator
from ipaddress import IPv4Address, IPv6Address, ip_address

from voxfleet_gateway.decisions.location.client_address import Address, unmapped
from voxfleet_gateway.errors import ProxyHeaderError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED_BYTES = 16  # of version 2
MAX_VARIABLE_BYTES = 4096  # addresses take at most 216; load balancers add a few hundred bytes of extensions
V1_START, V1_MAX_BYTES = b"PROXY ", 107
V1_FIELDS = 6
LOCAL, PROXY = 0x20, 0x21  # version 2 with its command
TCP4, TCP6 = 0x11, 0x21  # address family and transport
ADDRESS_BYTES = {TCP4: 4, TCP6: 16}
UNUSABLE = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})  # UNSPEC, datagrams, Unix sockets: no client address

HeaderReader = Generator[int, bytes, Address | None]


def read_header() -> HeaderReader:
    """Read a header: yields how many bytes it takes next, is sent them, and returns the client's address.

    Returns None where the balancer names no client, as in its own health checks. Raises ProxyHeaderError.
    """
    start = yield len(SIGNATURE)
    if start == SIGNATURE:
        return (yield from _read_v2(start))
    if start.startswith(V1_START):
        return (yield from _read_v1(start))
    raise ProxyHeaderError("no PROXY header")


def _read_v2(start: bytes) -> HeaderReader:
    fixed = start + (yield FIXED_BYTES - len(start))
    command, family, length = struct.unpack_from("!BBH", fixed, len(SIGNATURE))
    if length > MAX_VARIABLE_BYTES:
        raise ProxyHeaderError(f"{length} bytes follow; the limit is {MAX_VARIABLE_BYTES}")
    variable = (yield length) if length else b""
    if command == LOCAL:
        return None
    if command != PROXY or (family not in ADDRESS_BYTES and family not in UNUSABLE):
        raise ProxyHeaderError(f"version and command {command:#04x}, family {family:#04x} are unknown")
    if family in UNUSABLE:
        return None
    size = ADDRESS_BYTES[family]
    if length < 2 * size + 4:  # two addresses and two ports
        raise ProxyHeaderError(f"{length} bytes are too few for family {family:#04x}")
    return unmapped(IPv4Address(variable[:size]) if family == TCP4 else IPv6Address(variable[:size]))


def _read_v1(start: bytes) -> HeaderReader:
    line = start
    while not line.endswith(b"\n"):
        if len(line) >= V1_MAX_BYTES:
            raise ProxyHeaderError(f"the line has more than {V1_MAX_BYTES} bytes")
        line += yield 1
    if not line.endswith(b"\r\n"):
        raise ProxyHeaderError("the line does not end with CR and LF")
    fields = line[:-2].split(b" ")
    if fields[1] == b"UNKNOWN":
        return None
    return unmapped(_v1_address(fields))


def _v1_address(fields: list[bytes]) -> Address:
    """Return the source of `PROXY TCP4 source destination port port`."""
    versions = {b"TCP4": 4, b"TCP6": 6}
    if len(fields) != V1_FIELDS or fields[1] not in versions:
        raise ProxyHeaderError("the line is not PROXY TCP4 or TCP6 with two addresses and two ports")
    try:
        source, destination = (ip_address(field.decode("ascii")) for field in fields[2:4])
        ports = [int(field) if field.isdigit() else -1 for field in fields[4:]]
    except ValueError as error:
        raise ProxyHeaderError("an address is malformed") from error
    if {source.version, destination.version} != {versions[fields[1]]} or not all(0 <= port < 2**16 for port in ports):
        raise ProxyHeaderError("an address or a port does not fit the family")
    return source
