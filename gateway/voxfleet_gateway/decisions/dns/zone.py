"""The names of the zone, and what each of them is. Pure.

    <zone>                      SOA, NS
    <name server>.<zone>        A, AAAA: glue
    <model>.<zone>              A, AAAA, HTTPS of the region that suits the client
    <name>.<namespace>.<zone>   the same, by the resource's own name, which no other resource can have
    <region>.regions.<zone>     A, AAAA of one region, for every client

Knows: that a name with nothing but names below it exists (RFC 8020).
Does not know: records' form, addresses of clients.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from voxfleet_gateway.decisions.dns.served_models import ServedModel

MAX_LABEL = 63
REGIONS_LABEL = "regions"
NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")

NameKind = Literal["apex", "server", "model", "region", "empty"]


@dataclass(frozen=True, slots=True)
class ZoneName:
    """What one name is, and whose."""

    kind: NameKind
    owner: str = ""  # name server, model's full name, or region


@dataclass(frozen=True, slots=True)
class Zone:
    """All names, lower-case, with the dot at their end, as PowerDNS sends them."""

    apex: str
    names: Mapping[str, ZoneName] = field(default_factory=dict)

    def find(self, name: str) -> ZoneName | None:
        """Return what a lower-case name is; None for a name that does not exist."""
        return self.names.get(name)


def dns_label(name: str) -> str:
    """Return a name as one label: letters, digits and single hyphens, at most 63; empty when nothing is left."""
    return NOT_IN_LABELS.sub("-", name.lower()).strip("-")[:MAX_LABEL].rstrip("-")


def zone_of(apex: str, servers: Iterable[str], regions: Iterable[str], models: Iterable[ServedModel]) -> Zone:
    """Return the zone. Models come oldest first: of two that need the same name, the first has it."""
    names: dict[str, ZoneName] = {apex: ZoneName("apex")}
    for server in servers:
        names.setdefault(server, ZoneName("server", server))
    for region in regions:
        _add(names, f"{dns_label(region)}.{REGIONS_LABEL}.{apex}", ZoneName("region", region))
    listed = tuple(models)
    for model in listed:
        _add(names, f"{dns_label(model.model)}.{apex}", ZoneName("model", model.full_name))
    for model in listed:  # after every bare name
        _add(names, f"{dns_label(model.name)}.{dns_label(model.namespace)}.{apex}", ZoneName("model", model.full_name))
    for name in tuple(names):
        for parent in _parents(name, apex):
            names.setdefault(parent, ZoneName("empty"))
    return Zone(apex, names)


def _add(names: dict[str, ZoneName], name: str, found: ZoneName) -> None:
    if not name.startswith("."):  # no character of it is allowed in a label
        names.setdefault(name, found)


def _parents(name: str, apex: str) -> Iterable[str]:
    """Yield the names between a name of the zone and its apex."""
    while name != apex and name.endswith(f".{apex}"):
        name = name.partition(".")[2]
        if name != apex:
            yield name
