"""Judges a region's gatewayURL, which its author wrote, by the hosts that the administrator allows.

Gateways judge it by the same rule (voxfleet_gateway/decisions/peers/gateway_urls.py): a name must be within one of the
domains, an address within one of the networks, and without either nothing is allowed. Resolves no names: what one
resolves to is checked by the gateway that connects to it. The CRD refuses URLs that are not https.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from voxfleet_operator.decisions.remote.addresses import Network
from voxfleet_operator.resources import Region


@dataclass(frozen=True, slots=True)
class AllowedPeers:
    """Where the hosts of gatewayURLs may be; domains in lower case, without a dot at either end."""

    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def has(self, host: str) -> bool:
        """Whether a host, a name in lower case or an address, is allowed."""
        try:
            address = ip_address(host)
        except ValueError:
            return any(host == domain or host.endswith(f".{domain}") for domain in self.domains)
        return any(address.version == network.version and address in network for network in self.networks)


NO_PEERS = AllowedPeers()


def gateway_url_problem(region: Region, allowed: AllowedPeers) -> str:
    """Return why a region's gatewayURL is not handed to gateways, or an empty string."""
    if region.gateway_url is None:
        return ""
    host = (urlsplit(region.gateway_url).hostname or "").lower().rstrip(".")
    if allowed.has(host):
        return ""
    domains = ", ".join(allowed.domains) or "any allowed domain, of which there are none"
    return (
        f"regions[{region.name}].gatewayURL {region.gateway_url} is not within {domains}: have the administrator "
        "add its domain to the chart's allowedPeerDomains (an address: its network to allowedPeerNetworks)"
        + (", or use a host of these domains" if allowed.domains else "")
    )
