"""Finds the leaf of a location database that an address lies in, with its length, also where nothing is known.

Knows: that of several files every one has leaves, and that the answer is the same only inside the smallest of them.
Does not know: schemas (decisions/location/address_facts.py), what leaves are used for.
"""

from collections.abc import Mapping
from pathlib import Path

import maxminddb

from voxfleet_gateway.decisions.dns.scopes import Address, Leaf
from voxfleet_gateway.decisions.location.address_facts import AddressFacts, merge, parse_record
from voxfleet_gateway.location.database import OpenFile

MAX_CACHED = 65_536
NOTHING_KNOWN = AddressFacts("")


class LeafFinder:
    """Looks addresses up in files as they are now, and keeps what was found; other files need a new finder."""

    def __init__(self, files: Mapping[Path, OpenFile]) -> None:
        self.files = files
        self._found: dict[Address, Leaf] = {}

    def find(self, address: Address) -> Leaf:
        """Return the leaf of an address."""
        leaf = self._found.get(address)
        if leaf is None:
            if len(self._found) >= MAX_CACHED:
                self._found.clear()
            leaf = self._found[address] = self._look_up(address)
        return leaf

    def _look_up(self, address: Address) -> Leaf:
        longest, found = 0, []
        for file in self.files.values():
            if file.ip_version < address.version:
                continue
            try:
                record, length = file.reader.get_with_prefix_len(address)
            except maxminddb.InvalidDatabaseError:  # a damaged part of the file: nothing is known there
                continue
            longest = max(longest, length)
            if record is not None:
                found.append(parse_record(f"{address}/{length}", record))
        return Leaf(merge(found) or NOTHING_KNOWN, longest)
