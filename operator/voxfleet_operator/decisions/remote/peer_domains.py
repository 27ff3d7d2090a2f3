"""Judges a region's gatewayURL, which its author wrote, by the domains that the administrator allows.

Knows no addresses: what a name resolves to is checked by the gateway that connects to it. The CRD refuses URLs that are
not https, and literal local addresses.
"""

from urllib.parse import urlsplit

from voxfleet_operator.resources import Region


def gateway_url_problem(region: Region, allowed_domains: tuple[str, ...]) -> str:
    """Return why a region's gatewayURL is not handed to gateways, or an empty string; without domains all are right."""
    if region.gateway_url is None or not allowed_domains:
        return ""
    host = (urlsplit(region.gateway_url).hostname or "").lower().rstrip(".")
    if any(host == domain or host.endswith(f".{domain}") for domain in allowed_domains):
        return ""
    return (
        f"regions[{region.name}].gatewayURL {region.gateway_url} is not within {', '.join(allowed_domains)}: use a "
        "host of these domains, or have the administrator add its domain to the chart's allowedPeerDomains"
    )
