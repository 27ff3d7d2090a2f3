"""Looks addresses up in location databases: countries, coordinates and AS numbers, from one file or several.

Knows: that IPv4 and IPv6, places and AS numbers may lie in separate files; that a file is replaced while the gateway
runs (a rename, the symbolic link of a mounted volume), and that a damaged one replaces nothing.
Does not know: what is looked up for which purpose; schemas (decisions/location/address_facts.py).
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

import maxminddb
import structlog

from voxfleet_gateway.decisions.location.address_facts import AddressFacts, merge, parse_record
from voxfleet_gateway.decisions.location.attribution import Attribution, attribution_of
from voxfleet_gateway.decisions.location.client_address import REUSED, Address, is_among, unmapped
from voxfleet_gateway.errors import LocationDatabaseError, SettingsError
from voxfleet_gateway.location.private_copy import open_copy
from voxfleet_gateway.telemetry import RELOAD_FAILURES

RELOAD_SECONDS = 10.0  # between two looks at the files, which change once a day or month
SUFFIX = ".mmdb"
WHAT = "location"  # the label in RELOAD_FAILURES

log = structlog.get_logger(__name__)

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One file as it was when it was opened."""

    reader: maxminddb.Reader
    stamp: Stamp
    ip_version: int
    has_places: bool  # countries or coordinates, and not AS numbers alone


@dataclass(slots=True)
class LocationDatabase:
    """All files of the paths; a path is a file, or a folder whose .mmdb files are read."""

    paths: tuple[Path, ...] = ()
    files: Mapping[Path, OpenFile] = field(default_factory=dict)  # replaced as a whole, never changed
    failing: Mapping[Path, Stamp | None] = field(default_factory=dict)  # stamps that could not be read

    def open(self) -> None:
        """Read every file for the first time. Raises SettingsError when one is missing or damaged."""
        try:
            self.files = {path: _open(path, stamp) for path, stamp in self._present().items()}
        except (OSError, LocationDatabaseError) as error:
            raise SettingsError(f"VOXFLEET_LOCATION_DATABASE (--location-database): {error}") from error
        for path in self.paths:
            if path not in self.files and not any(path in file.parents for file in self.files):
                raise SettingsError(f"VOXFLEET_LOCATION_DATABASE (--location-database): {path} has no {SUFFIX} file")
        self._log_read()

    async def run(self) -> None:
        """Reload until cancelled."""
        while self.paths:
            await asyncio.sleep(RELOAD_SECONDS)
            await asyncio.to_thread(self.reload)

    def reload(self) -> None:
        """Open files that have changed; one that cannot be read is counted once, and its predecessor stays."""
        try:
            present = self._present()
        except OSError as error:
            self._fail(self.paths[0], None, str(error))
            return
        self.failing = {path: stamp for path, stamp in self.failing.items() if stamp is not None}
        files = {path: file for path, file in self.files.items() if path in present}
        for path, stamp in present.items():
            if path in files and files[path].stamp == stamp:
                continue
            try:
                files[path] = _open(path, stamp)
                self.failing = {failed: seen for failed, seen in self.failing.items() if failed != path}
            except (OSError, LocationDatabaseError) as error:
                self._fail(path, stamp, str(error))
        if files != self.files:
            self.files = files
            self._log_read()

    def lookup(self, address: str | Address) -> AddressFacts | None:
        """Return what the databases know about an address; None for nothing. Raises ValueError for no address."""
        wanted = unmapped(ip_address(address) if isinstance(address, str) else address)
        if is_among(wanted, REUSED):
            return None
        return merge(
            facts
            for file in self.files.values()
            if file.ip_version >= wanted.version and (facts := _facts(file.reader, wanted)) is not None
        )

    def networks(self) -> Iterator[AddressFacts]:
        """Yield the leaves of every file with places, in the order of addresses; their AS numbers are not joined."""
        for file in self.files.values():
            if file.has_places:
                for network, record in file.reader:
                    facts = parse_record(str(network), record)
                    if not facts.is_empty:
                        yield facts

    def attributions(self) -> tuple[Attribution, ...]:
        """Return what a page must say about the databases, each once."""
        types = (file.reader.metadata().database_type for file in self.files.values())
        return tuple(dict.fromkeys(found for each in types if (found := attribution_of(each)) is not None))

    def _present(self) -> dict[Path, Stamp]:
        """Return the files of all paths that exist now, with their stamps. Raises OSError."""
        found: dict[Path, Stamp] = {}
        for path in self.paths:
            if path.is_dir():
                found |= {each: _stamp(each) for each in sorted(path.iterdir()) if each.suffix == SUFFIX}
            else:
                found[path] = _stamp(path)
        return found

    def _fail(self, path: Path, stamp: Stamp | None, reason: str) -> None:
        if path in self.failing and self.failing[path] == stamp:
            return
        self.failing = {**self.failing, path: stamp}
        RELOAD_FAILURES.labels(WHAT).inc()
        log.warning("reload_failed", what=WHAT, error=reason)

    def _log_read(self) -> None:
        for path, file in self.files.items():
            metadata = file.reader.metadata()
            log.info("location_database_read", file=path.name, kind=metadata.database_type, built=metadata.build_epoch)


def _facts(reader: maxminddb.Reader, address: Address) -> AddressFacts | None:
    try:
        record, length = reader.get_with_prefix_len(address)
    except maxminddb.InvalidDatabaseError:  # a damage that the samples missed: this address is unknown
        return None
    if record is None:
        return None
    return parse_record(str(ip_network((address, length), strict=False)), record)


def _open(path: Path, stamp: Stamp) -> OpenFile:
    reader, records = open_copy(path)
    metadata, found = reader.metadata(), [parse_record("", record) for record in records]
    if all(facts.is_empty for facts in found):
        raise LocationDatabaseError(
            f"{path} has neither countries, coordinates nor AS numbers (its type is {metadata.database_type!r}); "
            "give a country, city or ASN database"
        )
    has_places = any(facts.country or facts.latitude is not None for facts in found)
    return OpenFile(reader, stamp, metadata.ip_version, has_places)


def _stamp(path: Path) -> Stamp:
    status = path.stat()  # through symbolic links, by which the kubelet replaces the content of a mount
    # With the inode: a file may be replaced by one of the same size and time.
    return status.st_ino, status.st_mtime_ns, status.st_size
