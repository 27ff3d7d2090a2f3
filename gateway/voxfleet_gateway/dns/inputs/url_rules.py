"""Which gatewayURLs the engine asks for reports and resolves: those of the zone file, and what peers may have.

Knows: that an administrator writes the zone file, and that the authors of resources, whose URLs the registry has, are
none: their hosts must lie in the allowed domains, as for gateways (decisions/peers/gateway_urls.py).
Does not know: which regions have which URL; at which addresses connections are made (peers/client.py).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import structlog

from voxfleet_gateway.decisions.peers.gateway_urls import Networks, parse_peer_url
from voxfleet_gateway.errors import PeerUrlError

MAX_KEPT = 4096

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class UrlRules:
    """The domains and networks that the registry's URLs may name; keeps what was found."""

    domains: tuple[str, ...] = ()
    networks: Networks = ()
    found: dict[str, bool] = field(default_factory=dict)  # by URL

    def allowed(self, url: str, administrators: Collection[str]) -> str:
        """Return the URL; empty where it is refused, which is logged once."""
        if not url or url in administrators:
            return url
        if url not in self.found:
            if len(self.found) >= MAX_KEPT:
                self.found.clear()
            self.found[url] = self._is_allowed(url)
        return url if self.found[url] else ""

    def _is_allowed(self, url: str) -> bool:
        try:
            parse_peer_url(url, self.domains, self.networks)
        except PeerUrlError as error:
            log.warning("gateway_url_refused", error=str(error))
            return False
        return True
