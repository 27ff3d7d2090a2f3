"""kopf's part: watches VoxTTSDeployments and enqueues their keys. Nothing here writes, so kopf writes nothing.

Knows kopf. An index keeps each resource as a frozen value; kopf runs no event handler before the first listing is
indexed completely, so the first reconcile already sees all resources. Does not know what a reconcile does.
"""

from typing import Any

import kopf
import structlog
from kubernetes.aio import client
from pydantic import ValidationError

from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.watching.watches import PAGE
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key, read_resource

log = structlog.get_logger(__name__)


def kopf_settings() -> kopf.OperatorSettings:
    """Return settings without Event objects, peering, or scans of CRDs and namespaces; listings come in pages."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # the operator's own Events are decided (status/events.py)
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = PAGE
    # kopf's workers per object end after this silence: handlers here return at once, so idle workers are waste.
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 10
    return settings


def kopf_registry(index: ResourceIndex, configuration: client.Configuration) -> kopf.OperatorRegistry:
    """Return handlers that fill the index and never write to the cluster."""
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _credentials(configuration)

    # Coroutines, because kopf runs plain functions in threads, and the store belongs to the event loop's.
    async def index_resource(body: kopf.Body, **_: Any) -> None:
        try:
            index.put(read_resource(dict(body)))
        except ValidationError as error:
            log.exception("resource cannot be parsed", name=body["metadata"]["name"], error=str(error))

    async def enqueue(type: str | None, namespace: str, name: str, **_: Any) -> None:  # noqa: A002 - kopf's own word
        key = Key(namespace, name)
        if type == "DELETED":
            index.remove(key)
        else:
            index.enqueue(key)

    kopf.on.login(registry=registry)(login)
    kopf.index(GROUP, VERSION, PLURAL, registry=registry)(index_resource)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(enqueue)
    return registry


async def _credentials(configuration: client.Configuration) -> kopf.ConnectionInfo:
    """Return the credentials of the operator's own requests, read again on each call: a pod's token rotates."""
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
