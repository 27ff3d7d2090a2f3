"""Asks DNS questions of a server on loopback, with and without EDNS Client Subnet.

Knows: how dnspython builds and sends messages. Does not know: which server it is, what is right.
"""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from voxfleet_testbed.dns.processes import LOOPBACK

QUERY_SECONDS = 20.0  # of a loaded machine


def query(  # noqa: PLR0913  # what a query may vary in, each by name
    port: int,
    name: str,
    kind: str = "A",
    *options: dns.edns.Option,
    use_edns: bool = True,
    tcp: bool = False,
    payload: int = 1232,
    recurse: bool = False,
) -> dns.message.Message:
    """Ask one question."""
    message = dns.message.make_query(
        name, kind, use_edns=use_edns, options=list(options), payload=payload if use_edns else None
    )
    if not recurse:
        message.flags &= ~dns.flags.RD
    send = dns.query.tcp if tcp else dns.query.udp
    return send(message, LOOPBACK, QUERY_SECONDS, port)


def subnet(network: str, scope: int = 0) -> dns.edns.ECSOption:
    """Return the client subnet option."""
    address, _, length = network.partition("/")
    return dns.edns.ECSOption(address, int(length), scope)


def ecs_of(message: dns.message.Message) -> dns.edns.ECSOption | None:
    """Return the response's client subnet option."""
    return next((option for option in message.options if isinstance(option, dns.edns.ECSOption)), None)


def addresses(message: dns.message.Message, kind: str = "A") -> set[str]:
    """Return the addresses of the answer section."""
    wanted = dns.rdatatype.from_text(kind)
    return {record.to_text() for rrset in message.answer if rrset.rdtype == wanted for record in rrset}
