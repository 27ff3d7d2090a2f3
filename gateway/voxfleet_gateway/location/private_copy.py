"""Opens a MaxMind DB file from a private copy in memory, and checks it.

Knows: why a copy. The reader maps its file: one that is overwritten in place, rather than renamed over, would change
under it, and a truncated one would end the process by SIGBUS. The copy takes as much memory as the file has bytes.
Does not know: what records hold; when a file is opened again.
"""

import os
import shutil
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from pathlib import Path

import maxminddb

from voxfleet_gateway.errors import LocationDatabaseError

MAX_FILE_BYTES = 512 * 2**20  # the largest city databases have a quarter of that
CHUNK_BYTES = 2**20
FIRST_SAMPLES, IPV4_SAMPLES, IPV6_SAMPLES = 256, 512, 512
GLOBAL_UNICAST = 0x2000 << 112  # 2000::/3


def open_copy(path: Path) -> tuple[maxminddb.Reader, tuple[object, ...]]:
    """Return a reader of the file as it is now, and records from all over it. Raises LocationDatabaseError."""
    try:
        reader = _open(path)
        records = tuple(_samples(reader))  # raises where the tree or a record is damaged
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise LocationDatabaseError(f"{path} is no location database in MaxMind's format: {reason}") from error
    return reader, records


def _samples(reader: maxminddb.Reader) -> Iterator[object]:
    """Yield the records at addresses over the whole space, and the file's first ones: it may have few."""
    yield from (record for _, record in islice(reader, FIRST_SAMPLES))
    addresses: list[IPv4Address | IPv6Address] = [
        IPv4Address(index * (2**32 // IPV4_SAMPLES) + 1) for index in range(IPV4_SAMPLES)
    ]
    if reader.metadata().ip_version == 6:  # noqa: PLR2004  # the format's own number
        addresses += [
            IPv6Address(GLOBAL_UNICAST + index * (2**125 // IPV6_SAMPLES) + 1) for index in range(IPV6_SAMPLES)
        ]
    yield from (record for address in addresses if (record := reader.get(address)) is not None)


def _open(path: Path) -> maxminddb.Reader:
    copy = os.memfd_create("location-database")
    try:
        with path.open("rb") as file, os.fdopen(copy, "wb", closefd=False) as memory:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ValueError(f"it has {size} bytes; the limit is {MAX_FILE_BYTES}")
            shutil.copyfileobj(file, memory, CHUNK_BYTES)
        return maxminddb.open_database(f"/proc/self/fd/{copy}", maxminddb.MODE_MMAP_EXT)
    finally:
        os.close(copy)  # the reader's mapping keeps the memory
