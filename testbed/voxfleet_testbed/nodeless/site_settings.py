"""The names of a site's objects, and the settings of its parts."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.dns.location_example import BERLIN, NEW_YORK, write_location_database
from voxfleet_testbed.fixtures import own_address_or_skip
from voxfleet_testbed.network.addresses import ports_for_later

KEY = "a key of ways in"
SYSTEM, DEMAND, APPS, INFRA, NAME = "ways-system", "ways-demand", "ways-apps", "ways-infra", "narrator"
INGRESS_DOMAIN = "tts.example.com"
ADMITTED_LABEL = "ways-in"  # of namespaces whose routes the Gateway takes
# Clients connect from these addresses of loopback.
BERLINER, AMERICAN = "127.0.5.1", "127.0.6.1"
NETWORKS = {"127.0.5.0/24": BERLIN, "127.0.6.0/24": NEW_YORK}


def operator_settings() -> dict[str, str]:
    """Return the operator's settings by their names."""
    health, metrics = ports_for_later(2)
    return {
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "INTERNAL_KEY": KEY,
        "INFERENCE_IMAGE": "localhost/voxfleet-inference:test",
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": str(health),
        "METRICS_PORT": str(metrics),
        "LOAD_POLL_SECONDS": "0.5",
        "ALLOWED_INGRESS_DOMAINS": INGRESS_DOMAIN,
    }


def gateway_settings(folder: Path) -> dict[str, str]:
    """Return the settings of the gateway in eu-central, which trusts proxies on this machine."""
    return {
        "REGION": "eu-central",
        "INTERNAL_KEY": KEY,
        "SYSTEM_NAMESPACE": SYSTEM,
        "DEMAND_NAMESPACE": DEMAND,
        "HOST": own_address_or_skip(),
        "PORT": "0",
        "METRICS_PORT": "0",
        "INTERNAL_PORT": "0",
        "POD_NAME": "gateway-0",
        "TRUSTED_PROXIES": f"{own_address_or_skip()}/32",  # a proxy's own address is this machine's
        "LOCATION_DATABASE": str(write_location_database(folder / "places.mmdb", NETWORKS)),
        "DRAIN_GRACE_SECONDS": "0.2",
        "DRAIN_SECONDS": "2",
    }
