"""The gateway's settings, and the lists that some of them are."""

from voxfleet_gateway.settings.gateway import Settings, read_settings
from voxfleet_gateway.settings.lists import Domains, Networks, Peers, parse_domains, parse_networks, parse_peers

__all__ = [
    "Domains",
    "Networks",
    "Peers",
    "Settings",
    "parse_domains",
    "parse_networks",
    "parse_peers",
    "read_settings",
]
