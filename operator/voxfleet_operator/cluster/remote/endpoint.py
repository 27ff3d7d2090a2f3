"""Makes the endpoint of a remote cluster from its checked kubeconfig.

Knows that an author chose the host: each address is checked when it is connected to, because what a name resolves to
can change after any earlier check. Does not know Secrets.
"""

import errno
import socket
import ssl
import tempfile
from collections.abc import Callable
from typing import Any

from voxfleet_operator.cluster.endpoints import Endpoint
from voxfleet_operator.decisions.remote.addresses import Network, address_problem
from voxfleet_operator.decisions.remote.kubeconfigs import KubeConfig, KubeconfigRefusedError


def remote_endpoint(config: KubeConfig, allowed: tuple[Network, ...], request_seconds: float) -> Endpoint:
    """Return the endpoint. Raises KubeconfigRefusedError for certificates that cannot be read."""
    headers = {"Authorization": f"Bearer {config.token}"} if config.token else {}

    async def authorization() -> dict[str, str]:
        return headers

    return Endpoint(
        config.server,
        _trust(config),
        authorization,
        request_seconds=request_seconds,
        server_hostname=config.server_name or None,
        socket_factory=_checked_sockets(allowed),
    )


def _checked_sockets(allowed: tuple[Network, ...]) -> Callable[[Any], socket.socket]:
    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if problem := address_problem(str(address[0]), allowed):
            raise PermissionError(errno.EACCES, problem)
        return socket.socket(family, kind, protocol)

    return make


def _trust(config: KubeConfig) -> ssl.SSLContext:
    try:
        trust = ssl.create_default_context(cadata=config.authority or None)
    except ssl.SSLError as error:
        raise KubeconfigRefusedError(f"cluster.certificate-authority-data cannot be read: {error}") from error
    if config.certificate:
        # OpenSSL reads a certificate's key from a file only; it is readable by this user, and gone directly after.
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(f"{config.certificate}\n{config.key}\n".encode())
            pair.flush()
            try:
                trust.load_cert_chain(pair.name, password=_no_password)
            except (ssl.SSLError, ValueError) as error:
                raise KubeconfigRefusedError(f"user.client-certificate-data and key cannot be read: {error}") from error
    return trust


def _no_password() -> str:
    # Without a callback OpenSSL would ask at the terminal for an encrypted key's password.
    raise ValueError("user.client-key-data is encrypted: give it without a password")
