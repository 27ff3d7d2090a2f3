"""What a gateway of another region has learned, taken over without trust. Pure.

Knows: that a region measures round trips to itself, and can claim no others; that its figures are the first to be
forgotten: they replace no group that still says something, and one region makes at most half of a level's groups.
Does not know: HTTP, certificates; what a figure means (rtt_model.py).
"""

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_network

from voxfleet_gateway.decisions.location.country_centers import country_center
from voxfleet_gateway.decisions.rtt.cells import Cell
from voxfleet_gateway.decisions.rtt.client_network import IPV4_BITS, IPV6_BITS
from voxfleet_gateway.decisions.rtt.exchange import MIN_WEIGHT, ExchangedCell, ExchangedCells
from voxfleet_gateway.decisions.rtt.rtt_model import AREA_DEGREES, GroupKey, Groups, Level, RttModel

MAX_ASN = 2**32 - 1
MAX_AREA = (90 // AREA_DEGREES, 180 // AREA_DEGREES)  # of latitude, of longitude
AREA_PARTS = 2


def read_from_peer(body: bytes, region: str) -> tuple[ExchangedCell, ...]:
    """Return what a peer may say: figures about its own region, for groups that clients can be in.

    Takes tens of milliseconds for as many as there may be. Raises pydantic.ValidationError.
    """
    received = ExchangedCells.model_validate_json(body)
    return tuple(row for row in received.cells if row.region == region and is_group(row.level, row.key))


def merge_from_peer(model: RttModel, rows: Iterable[ExchangedCell], region: str, now_seconds: float) -> int:
    """Take over the figures about the peer's own region that weigh more than what is known; return how many."""
    made: Counter[Level] = Counter()
    for level, groups in model.levels.items():
        made[level] = sum(region in cells for cells in groups.cells.values())
    taken = 0
    for row in rows:
        given = Cell(row.mean, row.weight, now_seconds - row.age_seconds)
        groups = model.levels[row.level]
        cells = groups.cells.get(row.key)  # not as used: that a peer sends a group keeps none of this gateway's
        if cells is None:
            # There are fewer countries than places for them.
            is_beyond = row.level != "country" and made[row.level] >= groups.limit // 2
            if is_beyond or not _make_place(groups, now_seconds):
                continue
            cells = groups.cells[row.key] = {}
            groups.cells.move_to_end(row.key, last=False)  # what is measured here forgets it first
        own = cells.get(region)
        if own is None:
            cells[region] = given
            made[row.level] += 1
        elif given.weight_at(now_seconds) > own.weight_at(now_seconds):
            own.mean, own.weight, own.at_seconds = given.mean, given.weight, given.at_seconds
        else:
            continue
        taken += 1
    return taken


def is_group(level: Level, key: GroupKey) -> bool:
    """Whether a group of the level has such a key: others would take its places, and no client would be in them."""
    if level == "prefix":
        return len(key) == 1 and _is_prefix(key[0])
    if level == "asn":
        asn, *key_in_country = key
        return type(asn) is int and 0 < asn <= MAX_ASN and _is_place(tuple(key_in_country), is_area=None)
    return _is_place(key, is_area=level == "area")


def _is_place(key: GroupKey, *, is_area: bool | None) -> bool:
    """Whether the key is a country, with an area or without; None: either."""
    if not key or not isinstance(key[0], str) or country_center(key[0]) is None:
        return False
    area = key[1:]
    if not area:
        return is_area is not True
    return is_area is not False and len(area) == AREA_PARTS and all(map(_is_step, area, MAX_AREA))


def _is_step(part: str | int | None, most: int) -> bool:
    return type(part) is int and -most <= part <= most


def _is_prefix(text: str | int | None) -> bool:
    if not isinstance(text, str):
        return False
    try:
        network = ip_network(text)
    except ValueError:
        return False
    return network.prefixlen == (IPV4_BITS if network.version == 4 else IPV6_BITS) and str(network) == text  # noqa: PLR2004


def _make_place(groups: Groups, now_seconds: float) -> bool:
    """Whether there is place for one more group; where all are taken, the first goes if it says nothing any more."""
    if len(groups.cells) < groups.limit:
        return True
    first = next(iter(groups.cells))
    if any(cell.weight_at(now_seconds) > MIN_WEIGHT for cell in groups.cells[first].values()):
        return False
    del groups.cells[first]
    return True
