"""Where an API server is reached and by which credentials: the operator's own, or a remote region's.

Knows the official client's configuration loaders, which every kind of kubeconfig and the pod's own rotating token need;
they are for the operator's own cluster only. A remote kubeconfig has been checked already (decisions/remote/), and
each address that its host has is checked when it is connected to. Does not know any request.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubernetes.aio import client, config

HOME_SECONDS = 10.0


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server's address and how to authenticate there.

    `authorization` returns the headers of each request: a pod's token rotates. `request_seconds` bounds a request.
    """

    host: str
    trust: ssl.SSLContext | bool
    authorization: Callable[[], Awaitable[dict[str, str]]]
    request_seconds: float = HOME_SECONDS
    server_hostname: str | None = None
    socket_factory: Callable[[Any], socket.socket] | None = None
    configuration: client.Configuration | None = None  # of the operator's own cluster, for kopf
    close: Callable[[], Awaitable[None]] = _nothing


async def home_endpoint(kubeconfig: str) -> Endpoint:
    """Return the endpoint by the given file, else by the pod's service account, else by KUBECONFIG.

    Raises ConfigException when none of them names a cluster.
    """
    configuration = client.Configuration()
    if kubeconfig:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    else:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
    api_client = client.ApiClient(configuration)

    async def authorization() -> dict[str, str]:
        headers: dict[str, str] = {}
        await api_client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers

    return Endpoint(
        configuration.host,
        api_client.rest_client.ssl_context,
        authorization,
        configuration=configuration,
        close=api_client.close,
    )
