"""Reads kubeconfigs from Secrets, in the operator's own cluster.

Knows the answers of the API server that a user or an administrator must act on. Does not know what a kubeconfig may
contain (decisions/remote/kubeconfigs.py), nor how often it is read (clusters.py).
"""

import base64
import binascii
from dataclasses import dataclass

import structlog

from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError, NotFoundError
from voxfleet_operator.decisions.remote.absence import Absence, secret_forbidden, secret_not_found
from voxfleet_operator.decisions.remote.recorded import SecretKey

FORBIDDEN = 403

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SecretReader:
    """Reads Secrets; `account`: the operator's ServiceAccount, NAMESPACE:NAME."""

    api: KubernetesApi
    account: str

    async def read(self, secret: SecretKey) -> bytes | Absence | None:
        """Return the content, why there is none, or None when the API server cannot say now."""
        try:
            body = await self.api.get(f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}")
        except NotFoundError:
            return secret_not_found(secret, has_key=False)
        except KubernetesError as error:
            if error.status == FORBIDDEN:
                return secret_forbidden(secret, self.account)
            log.warning("secret not read", namespace=secret.namespace, name=secret.name, error=str(error))
            return None
        value = (body.get("data") or {}).get(secret.key)
        if value is None:
            return secret_not_found(secret, has_key=True)
        try:
            return base64.b64decode(value)
        except binascii.Error:
            return secret_not_found(secret, has_key=True)
