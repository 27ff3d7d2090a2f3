"""Answers the requests of PowerDNS's remote backend, from memory. Pure: a request's line in, a response's line out.

Knows: the protocol's methods (doc.powerdns.com, Remote Backend), names and plans. What is malformed, unknown or refused
gets `{"result": false}`, since PowerDNS waits for a response. It reads that as "no records", so a mistake of this
program must raise instead: the connection is closed, the client gets SERVFAIL, and asks another name server.
Does not know: sockets, clocks, how plans are made. Nothing here waits, and every cache is bounded.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, NamedTuple

from voxfleet_gateway.decisions.dns import records
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup, group_of
from voxfleet_gateway.decisions.dns.records import Endpoint, Record, ZoneRecords
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan
from voxfleet_gateway.decisions.dns.scopes import FindLeaf, Network, Scopes
from voxfleet_gateway.decisions.dns.zone import Zone, ZoneName
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

FAILED = records.response(False)  # the protocol's own word
DONE = records.response(True)
EMPTY = records.response([])
MAX_CACHED = 32_768  # answers and rendered lines, each
EVERY_MODEL = ""  # owner of the endpoints of regions that the zone file has
ADDRESS_TYPES = frozenset({"ANY", "A", "AAAA", "HTTPS"})


class Answered(NamedTuple):
    """What was answered to one client network, for metrics and demand."""

    model: str
    region: str
    basis: str
    group: ClientGroup
    facts: AddressFacts | None


@dataclass(frozen=True, slots=True)
class ZoneData:
    """All that answers are made from; replaced as a whole."""

    zone: Zone
    static: ZoneRecords
    servers: Mapping[str, tuple[records.Address, ...]]  # addresses of name servers, by name
    endpoints: Mapping[tuple[str, str], Endpoint]  # by the model's full name and region; EVERY_MODEL for all
    plans: Mapping[str, ModelPlan]  # by the model's full name
    find_leaf: FindLeaf


@dataclass(slots=True)
class Answering:
    """The zone that is served now, with what was already worked out."""

    data: ZoneData
    on_answer: Callable[[Answered], None]
    answers: dict[tuple[str, str], tuple[Answered, int]] = field(default_factory=dict)  # by model and client network
    scopes: dict[str, Scopes] = field(default_factory=dict)  # by model
    lines: dict[tuple[str, str, int, str], bytes] = field(default_factory=dict)  # by name, region, scope, type

    def replace(self, data: ZoneData) -> None:
        """Answer from new data."""
        self.data, self.answers, self.scopes, self.lines = data, {}, {}, {}

    def respond(self, line: bytes) -> bytes:
        """Return the response to a request, whatever it is."""
        try:
            request = json.loads(line)
            method, parameters = request["method"], request.get("parameters") or {}
            if method != "lookup":
                return self._call(method, parameters)
            name, wanted, client = parameters["qname"].lower(), parameters["qtype"], parameters.get("real-remote", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return FAILED
        if not (isinstance(wanted, str) and isinstance(client, str)):
            return FAILED
        return self._lookup(name, wanted, client)

    def _call(self, method: str, parameters: Mapping[str, Any]) -> bytes:
        """Answer the methods beside lookup. Zone transfers (list) and changes are refused."""
        if method == "initialize":
            return DONE
        if method == "getAllDomains":
            return records.response([self._domain()])
        if method == "getDomainInfo":
            return records.response(self._domain()) if self._is_apex(parameters["name"]) else FAILED
        if method in {"getAllDomainMetadata", "getDomainMetadata"}:
            return records.response({} if method == "getAllDomainMetadata" else [])
        return FAILED

    def _lookup(self, name: str, wanted: str, client: str) -> bytes:
        found = self.data.zone.find(name)
        if found is None:
            return EMPTY
        if found.kind == "model":
            if wanted not in ADDRESS_TYPES:
                return EMPTY
            return self._tailored(name, found.owner, wanted, client)
        return self._line((name, "", 0, wanted))

    def _tailored(self, name: str, model: str, wanted: str, client: str) -> bytes:
        """Answer with the region of the client's network."""
        key = (model, client)
        known = self.answers.get(key)
        if known is None:
            known = self._decide(model, client)
            if known is None:
                return self._line((name, "", 0, wanted))
            _put(self.answers, key, known)
        answered, scope = known
        self.on_answer(answered)
        return self._line((name, answered.region, scope, wanted))

    def _decide(self, model: str, client: str) -> tuple[Answered, int] | None:
        """Return the region and the scope for a client's network; None for a model without regions."""
        plan = self.data.plans.get(model)
        if plan is None or not plan.regions:
            return None
        network = _network(client)
        if network is None or network.prefixlen == 0:  # the opt-out of RFC 7871, 7.1.2
            return Answered(model, plan.untailored(), "untailored", ClientGroup(), None), 0
        scopes = self.scopes.get(model)
        if scopes is None:
            scopes = self.scopes[model] = Scopes(self.data.find_leaf, plan.choose, plan.explore)
        answer = scopes.answer(network)
        return Answered(model, answer.region, answer.basis, group_of(answer.facts), answer.facts), answer.scope

    def _line(self, key: tuple[str, str, int, str]) -> bytes:
        line = self.lines.get(key)
        if line is None:
            name, region, scope, wanted = key
            listed = self._records(name, self.data.zone.names[name], region, scope)
            line = records.response(records.of_type(listed, wanted))
            _put(self.lines, key, line)
        return line

    def _records(self, name: str, found: ZoneName, region: str, scope: int) -> list[Record]:
        """Return all records of a name; a name that has none now exists nevertheless."""
        static, endpoints = self.data.static, self.data.endpoints
        listed: list[Record] = []
        if found.kind == "apex":
            listed = records.apex_records(static)
        elif found.kind == "server":
            listed = records.address_records(name, self.data.servers.get(found.owner, ()), static.ttl)
        elif found.kind == "region":
            endpoint = endpoints.get((EVERY_MODEL, found.owner), NOWHERE)
            listed = records.address_records(name, endpoint.addresses, static.ttl)
        elif found.kind == "model":
            endpoint = endpoints.get((EVERY_MODEL, region)) or endpoints.get((found.owner, region), NOWHERE)
            listed = records.endpoint_records(name, endpoint, static.ttl, scope)
        return listed or records.empty_records(name, static.ttl)

    def _is_apex(self, name: str) -> bool:
        return f"{name.lower().rstrip('.')}." == self.data.zone.apex

    def _domain(self) -> dict[str, Any]:
        return {
            "id": records.DOMAIN_ID,
            "zone": self.data.zone.apex,
            "kind": "native",
            "serial": self.data.static.serial,
        }


NOWHERE = Endpoint(())


def _put(cache: dict[Any, Any], key: object, value: object) -> None:
    """Add to a cache; a full one is emptied, which costs less than keeping an order for what is replaced soon."""
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = value


def _network(text: str) -> Network | None:
    """Read PowerDNS's `real-remote`: an address or a network, of a link-local client with its interface (%eth0)."""
    address, _, length = text.partition("/")
    address = address.partition("%")[0]
    try:
        return ip_network(f"{address}/{length}" if length else address, strict=False)
    except ValueError:
        return None
