"""The scope of an answer: the largest block of addresses around a client that all get the same one. Pure.

Blocks start from the location database's leaves, cut to /24 and /56. Two neighbours are joined while every block inside
has the same answer, so scopes never overlap (RFC 7871, 7.2.1): whatever address of a block asks, it gets this block.
A leaf that explores is one block, however its group is shared out.
Does not know: how a region is chosen (region_choice.py), databases' files, messages.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from voxfleet_gateway.decisions.dns.leaf_exploration import LARGEST
from voxfleet_gateway.decisions.dns.region_choice import Basis, RegionChoice
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = {4: 24, 6: 56}  # RFC 7871, 11.1: what a resolver should not be asked to exceed
# A leaf whose group is shared out between regions is cut into these, or one large network would have one region.
SHARED_OUT = {4: 16, 6: 32}
SHORTEST = 1  # a tailored answer with scope 0 would be cached for every client
MAX_JOINED = 16  # blocks joined into one scope: bounds the work per answer
MAX_BLOCKS = 65_536  # kept


class Leaf(NamedTuple):
    """A network of the database, and what it says about it."""

    facts: AddressFacts
    prefix_length: int


FindLeaf = Callable[[Address], Leaf]
Choose = Callable[[AddressFacts, bytes], RegionChoice]
Explore = Callable[[AddressFacts, str], RegionChoice | None]


class TailoredAnswer(NamedTuple):
    """A region for a block of addresses."""

    region: str
    scope: int
    basis: Basis
    facts: AddressFacts


class _Unit(NamedTuple):
    """The smallest block that has one answer: an integer address and a prefix length."""

    start: int
    length: int
    choice: RegionChoice
    facts: AddressFacts

    def has_answer_of(self, other: "_Unit") -> bool:
        """Whether both have one region and one basis, which is kept with a joined block and counted for each answer."""
        return (self.choice.region, self.choice.basis) == (other.choice.region, other.choice.basis)


@dataclass(slots=True)
class Scopes:
    """Finds answers and their scopes for one model's plan, and keeps the blocks that it has found."""

    find_leaf: FindLeaf
    choose: Choose
    explore: Explore
    blocks: dict[tuple[int, int, int], TailoredAnswer] = field(default_factory=dict)  # version, length, leading bits
    lengths: dict[int, list[int]] = field(default_factory=lambda: {4: [], 6: []})  # of blocks, by version

    def answer(self, client: Network) -> TailoredAnswer:
        """Return the answer for a client's network, by its first address. Its prefix length must not be 0."""
        address, version = int(client.network_address), client.version
        kind: type[Address] = IPv4Address if version == 4 else IPv6Address  # noqa: PLR2004  # the IP version
        bits = client.max_prefixlen
        for length in self.lengths[version]:
            known = self.blocks.get((version, length, address >> (bits - length)))
            if known is not None:
                start = _truncate(address, LONGEST[version], bits)
                return known._replace(facts=self.find_leaf(kind(start)).facts)
        own = self._unit(address, kind)
        found = TailoredAnswer(own.choice.region, self._joined(own, kind), own.choice.basis, own.facts)
        self._keep((version, found.scope, address >> (bits - found.scope)), found)
        return found

    def _keep(self, key: tuple[int, int, int], found: TailoredAnswer) -> None:
        if len(self.blocks) >= MAX_BLOCKS:
            self.blocks.clear()
        self.blocks[key] = found
        if key[1] not in self.lengths[key[0]]:
            self.lengths[key[0]].append(key[1])

    def _unit(self, address: int, kind: type[Address]) -> _Unit:
        version, bits = kind(0).version, kind(0).max_prefixlen
        longest = LONGEST[version]
        start = _truncate(address, longest, bits)
        leaf = self.find_leaf(kind(start))
        length = min(max(leaf.prefix_length, SHORTEST), longest)
        block = _truncate(start, length, bits)
        if length >= LARGEST[version] and (tried := self.explore(leaf.facts, f"{kind(block)}/{length}")) is not None:
            return _Unit(block, length, tried, leaf.facts)
        choice = self.choose(leaf.facts, block.to_bytes(bits // 8, "big"))
        if not choice.is_uniform and length < SHARED_OUT[version]:
            length = SHARED_OUT[version]
            block = _truncate(start, length, bits)
            choice = self.choose(leaf.facts, block.to_bytes(bits // 8, "big"))
        return _Unit(block, length, choice, leaf.facts)

    def _joined(self, own: _Unit, kind: type[Address]) -> int:
        """Return the length of the largest block of at most MAX_JOINED units with one answer around a unit."""
        bits, count = kind(0).max_prefixlen, 1
        start, length = own.start, own.length
        while length > SHORTEST:
            size = 1 << (bits - length)
            sibling = start ^ size
            joined = self._count_equal(sibling, size, own, kind, MAX_JOINED - count)
            if joined == 0:
                break
            count += joined
            start, length = min(start, sibling), length - 1
        return length

    def _count_equal(self, start: int, size: int, own: _Unit, kind: type[Address], limit: int) -> int:
        """Return the units of a block; 0 when there are more than `limit` or one has another answer than `own`."""
        count, address, end = 0, start, start + size
        while address < end:
            unit = self._unit(address, kind)
            count += 1
            if count > limit or not unit.has_answer_of(own):
                return 0
            address = unit.start + (1 << (kind(0).max_prefixlen - unit.length))
        return count


def _truncate(address: int, length: int, bits: int) -> int:
    return address >> (bits - length) << (bits - length)
