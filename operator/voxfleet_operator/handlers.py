"""kopf's part: watches our own kind and calls the queue. Nothing here writes, so kopf writes nothing.

Knows kopf. An index keeps each resource as a frozen value, and kopf runs no event handler before the first listing
is complete: whoever is called sees all resources. Does not know what reconciling is.
"""

from typing import Any

import kopf
import structlog
from kubernetes.aio import client
from pydantic import ValidationError

from voxfleet_operator.cluster.store import Store
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key, read_resource

PAGE = 500

log = structlog.get_logger(__name__)


def quiet_settings() -> kopf.OperatorSettings:
    """No events, no peering, no scanning of CRDs or namespaces, chunked lists."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = PAGE
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 10
    return settings


def watching_registry(store: Store, configuration: client.Configuration) -> kopf.OperatorRegistry:
    """Handlers that only look."""
    registry = kopf.OperatorRegistry()

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await _credentials(configuration)

    def keep(body: kopf.Body, **_: Any) -> None:
        try:
            store.put_resource(read_resource(dict(body)))
        except ValidationError as error:
            log.exception("resource not understood", name=body["metadata"]["name"], error=str(error))

    def call(type: str | None, namespace: str, name: str, **_: Any) -> None:  # noqa: A002 - kopf's own word
        key = Key(namespace, name)
        if type == "DELETED":
            store.remove_resource(key)
        else:
            store.call(key)

    kopf.on.login(registry=registry)(log_in)
    kopf.index(GROUP, VERSION, PLURAL, registry=registry)(keep)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(call)
    return registry


async def _credentials(configuration: client.Configuration) -> kopf.ConnectionInfo:
    """The same as the operator's own requests have, read anew whenever kopf asks."""
    auth = (await configuration.auth_settings()).get("BearerToken")
    value: str | None = auth["value"] if auth else None
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=value.split(" ", 1)[-1] if value else None,
    )
