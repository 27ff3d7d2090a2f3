"""Checks of the DNS zone: its name servers, the parent's delegation, what its names resolve to. Pure."""

from collections.abc import Iterable, Iterator

from voxfleet_cli.doctor.facts import Facts, Finding, NotReadError, State
from voxfleet_cli.doctor.observed import Unread
from voxfleet_cli.doctor.zone_facts import Zone, ZoneServer

CHECK = "DNS zone"
LONGEST_TTL_SECONDS = 300  # clients of a lost region stay with it for so long


def zone(facts: Facts) -> Iterator[Finding]:
    """Whether the zone is served as its file says, delegated, and leads to gateways."""
    found = facts.zone
    if isinstance(found, Unread):
        if not found.is_absent:
            raise NotReadError(found.reason)
        yield Finding(CHECK, State.OK, "no zone is served from here (the chart's dns.enabled is false)")
        return
    problems = [
        *_served(found, facts.system_namespace),
        *_delegated(found),
        *_resolved(found),
        *_lifetime(found, facts.system_namespace),
    ]
    yield from problems
    if not problems:
        text = (
            f"{found.name}: {len(found.servers)} addresses of name servers agree, {found.delegation.parent} delegates"
        )
        yield Finding(CHECK, State.OK, f"{text} to them, {len(found.names)} names lead to gateways")


def _served(zone: Zone, system: str) -> Iterator[Finding]:
    for server in zone.servers:
        if problem := server_problem(zone, server):
            state = State.FAILURE if server.error or not server.is_authoritative else State.WARNING
            command = f"dig @{server.address} {zone.name} SOA +norecurse"
            if state is State.WARNING:  # it serves another file than this cluster's
                command = f"kubectl logs -n {system} deploy/voxfleet-dns -c engine --tail=20"
            yield Finding(CHECK, state, f"name server {server.name} ({server.address}) {problem}", command)
    reached = {server.name for server in zone.servers}
    for name in sorted(zone.name_servers.keys() - reached):
        text = f"name server {name} has no address: the zone file gives none, and the name does not resolve"
        yield Finding(CHECK, State.FAILURE, text, f"dig {name}")


def server_problem(zone: Zone, server: ZoneServer) -> str:
    """Return what is wrong with a name server's answers; empty when they are as the zone file says."""
    if server.error:
        return f"does not serve {zone.name}: {server.error}"
    if not server.is_authoritative:
        return f"answers for {zone.name} without authority: it is a resolver, not the chart's DNS servers"
    if server.serial != zone.serial:
        return f"serves serial {server.serial}, the zone file has {zone.serial}: it has another file, or did not reload"
    if server.ttl_seconds != zone.ttl_seconds:
        return f"serves a TTL of {server.ttl_seconds} s, the zone file has {zone.ttl_seconds} s: it has another file"
    if server.name_servers != set(zone.name_servers):
        return f"lists {_listed(server.name_servers)} as NS, the zone file {_listed(zone.name_servers)}"
    return ""


def _delegated(zone: Zone) -> Iterator[Finding]:
    found, trace = zone.delegation, f"dig +trace {zone.name} NS"
    if found.error:
        text = (
            f"whether {zone.name} is delegated can't be seen from here: {found.parent or 'its parent'}: {found.error}"
        )
        yield Finding(CHECK, State.WARNING, text, trace)
        return
    if not found.name_servers:
        text = f"{found.parent} does not delegate {zone.name}, so no client finds its names; add to {found.parent}: "
        yield Finding(CHECK, State.FAILURE, text + records_of(zone), trace)
        return
    if extra := found.name_servers - set(zone.name_servers):
        text = f"{found.parent} delegates {zone.name} to {_listed(extra)} too, which the zone file does not name"
        yield Finding(CHECK, State.WARNING, f"{text}; its records should be: {records_of(zone)}", trace)
    if missing := set(zone.name_servers) - found.name_servers:
        text = f"{found.parent} does not delegate {zone.name} to {_listed(missing)}"
        yield Finding(CHECK, State.WARNING, f"{text}; its records should be: {records_of(zone)}", trace)
    for name, addresses in sorted(found.glue.items()):
        wanted = zone.name_servers.get(name)
        if wanted and addresses != wanted:
            text = f"{found.parent} has {_listed(addresses)} as address of {name}, the zone file {_listed(wanted)}"
            yield Finding(CHECK, State.FAILURE, f"{text}; correct the glue records", trace)


def records_of(zone: Zone) -> str:
    """Return the records that the parent zone needs, in one line."""
    servers = sorted(zone.name_servers.items())
    delegations = [f"{zone.name}. NS {name}." for name, _ in servers]
    glue = [
        f"{name}. {'AAAA' if ':' in address else 'A'} {address}"
        for name, addresses in servers
        if name.endswith(f".{zone.name}")
        for address in sorted(addresses)
    ]
    return ", ".join([*delegations, *glue])


def _resolved(zone: Zone) -> Iterator[Finding]:
    for each in zone.names:
        if each.error or not each.addresses:
            text = f"{each.name} does not resolve from here: {each.error or 'it has no address'}"
            yield Finding(CHECK, State.FAILURE, text, f"dig +trace {each.name}")
        elif stray := each.addresses - zone.gateway_addresses:
            known = _listed(zone.gateway_addresses)
            text = f"{each.name} resolves to {_listed(stray)}, which is no gateway's address (known: {known})"
            yield Finding(CHECK, State.FAILURE, text, f"dig +trace {each.name}")


def _lifetime(zone: Zone, system: str) -> Iterator[Finding]:
    if zone.ttl_seconds > LONGEST_TTL_SECONDS:
        text = f"a TTL of {zone.ttl_seconds} s keeps clients of a lost region there for so long; dns.ttl is usually 30"
        command = f"helm upgrade voxfleet charts/voxfleet -n {system} --reuse-values --set dns.ttl=30"
        yield Finding(CHECK, State.WARNING, text, command)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
