"""Headers as load balancers write them, and everything else."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.location.client_address import Address, unmapped
from voxfleet_gateway.decisions.location.proxy_header import MAX_VARIABLE_BYTES, SIGNATURE, V1_MAX_BYTES, read_header
from voxfleet_gateway.errors import ProxyHeaderError

REST = b"GET / HTTP/1.1\r\n"


def v2(family: int, body: bytes, command: int = 0x21, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def of(source: Address, extensions: bytes = b"") -> bytes:
    family = 0x11 if source.version == 4 else 0x21
    return v2(family, source.packed + source.packed + struct.pack("!HH", 4711, 443) + extensions)


def read(data: bytes) -> tuple[Address | None, bytes]:
    """Return the source, and the bytes that were left for TLS or HTTP."""
    reader, taken = read_header(), 0
    wanted = next(reader)
    try:
        while True:
            chunk = data[taken : taken + wanted]
            if len(chunk) < wanted:
                raise EOFError
            taken += wanted
            wanted = reader.send(chunk)
    except StopIteration as done:
        return done.value, data[taken:]


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "2001:db8::1"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n", "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        (of(ip_address("192.0.2.1")), "192.0.2.1"),
        (of(ip_address("2001:db8::1")), "2001:db8::1"),
        (of(ip_address("::ffff:192.0.2.1")), "192.0.2.1"),
        (of(ip_address("192.0.2.1"), b"\xea\x00\x16vpce-08d2bf15fac5001c9"), "192.0.2.1"),
        (v2(0x11, bytes(12), command=0x20), None),
        (v2(0x00, b"", command=0x20), None),
        (v2(0x00, b""), None),
        (v2(0x31, bytes(216)), None),
    ],
)
def test_a_header_gives_its_source_and_leaves_what_follows(header: bytes, source: str | None) -> None:
    found, rest = read(header + REST)
    assert (str(found) if found else None) == source
    assert rest == REST


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: g\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",  # TLS's first bytes
        b"proxy tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n",
        b"PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n",
        b"PROXY TCP4 \xff\xfe 198.51.100.7 1 2\r\n",
        b"PROXY " + b"x" * V1_MAX_BYTES + b"\r\n",
        v2(0x11, bytes(11)),
        v2(0x21, bytes(35)),
        v2(0x41, bytes(36)),
        v2(0x11, bytes(12), command=0x22),
        v2(0x11, bytes(12), command=0x11),
        v2(0x11, b"", length=MAX_VARIABLE_BYTES + 1),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read(data + b"\x00" * 64)


@given(st.ip_addresses(), st.binary(max_size=300), st.binary(max_size=50))
def test_every_address_survives_with_any_extension(source: Address, extensions: bytes, rest: bytes) -> None:
    assert read(of(source, extensions) + rest) == (unmapped(source), rest)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=50))
def test_every_address_survives_as_a_line(source: Address, port: int, rest: bytes) -> None:
    line = f"PROXY TCP{source.version} {source} {source} {port} 443\r\n"
    if len(line) <= V1_MAX_BYTES:
        assert read(line.encode() + rest) == (unmapped(source), rest)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: SIGNATURE + tail))
def test_any_bytes_end_in_a_source_or_an_error_and_reading_is_bounded(data: bytes) -> None:
    try:
        _, rest = read(data + b"\n" * (MAX_VARIABLE_BYTES + V1_MAX_BYTES + 20))
    except ProxyHeaderError:
        return
    assert len(rest) >= V1_MAX_BYTES - 20
