"""The addresses that a remote endpoint connects to, with real sockets, and certificates that cannot be read."""

import pytest
from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError
from voxfleet_operator.cluster.remote.endpoint import remote_endpoint
from voxfleet_operator.decisions.remote.addresses import parse_networks
from voxfleet_operator.decisions.remote.kubeconfigs import KubeConfig, KubeconfigRefusedError

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


async def error_of(server: str, allowed: str) -> str:
    api = KubernetesApi(remote_endpoint(KubeConfig(server, token="t"), parse_networks(allowed), 5.0), lambda *_: None)
    try:
        with pytest.raises(KubernetesError) as caught:
            await api.get("/version")
    finally:
        await api.close()
    return str(caught.value)


@pytest.mark.parametrize("server", ["https://127.0.0.1:1", "https://localhost:1", "https://[::1]:1"])
async def test_a_name_or_address_that_leads_to_this_machine_is_not_connected_to(server: str) -> None:
    """The kubeconfig's check knows literal addresses; what a name resolves to is only known here."""
    assert "allowedPeerNetworks" in await error_of(server, "")


async def test_an_allowed_network_is_connected_to() -> None:
    assert "Connect call failed" in await error_of("https://127.0.0.1:1", "127.0.0.0/8")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (KubeConfig("https://x", authority=PEM), "certificate-authority-data"),
        (KubeConfig("https://x", certificate=PEM, key=PEM), "client-certificate-data"),
    ],
)
def test_certificates_that_are_none_are_refused(config: KubeConfig, field: str) -> None:
    with pytest.raises(KubeconfigRefusedError, match=field):
        remote_endpoint(config, (), 5.0)
