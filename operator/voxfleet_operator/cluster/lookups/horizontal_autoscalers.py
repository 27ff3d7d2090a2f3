"""Finds the HorizontalPodAutoscalers that scale a Deployment, once it was scaled by one.

Knows scaleTargetRef, and the object that made an autoscaler (KEDA's ScaledObject makes it again when it is deleted). An
autoscaler scales every 15 seconds: its name is asked for once in ten minutes. Does not know what is said about it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator.cluster.api import Body, KubernetesApi, KubernetesError
from voxfleet_operator.decisions.observed import AutoscalerRef
from voxfleet_operator.kinds import ObjectRef

SECONDS_UNTIL_ASKED_AGAIN = 600.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HorizontalAutoscalers:
    """The answers of the last minutes, by Deployment, and when each was asked for."""

    api: KubernetesApi
    clock: Callable[[], float]
    known: dict[ObjectRef, tuple[float, tuple[AutoscalerRef, ...]]] = field(default_factory=dict)

    async def of(self, deployment: ObjectRef) -> tuple[AutoscalerRef, ...]:
        """Return the autoscalers of a Deployment, by name; none when they cannot be listed."""
        oldest = self.clock() - SECONDS_UNTIL_ASKED_AGAIN
        self.known = {ref: each for ref, each in self.known.items() if each[0] > oldest}
        if deployment not in self.known:
            self.known[deployment] = (self.clock(), await self._found(deployment))
        return self.known[deployment][1]

    async def _found(self, deployment: ObjectRef) -> tuple[AutoscalerRef, ...]:
        path = f"/apis/autoscaling/v2/namespaces/{deployment.namespace}/horizontalpodautoscalers"
        try:
            listed: list[Body] = (await self.api.get(path)).get("items") or []
        except KubernetesError as error:
            log.warning("autoscalers not listed", namespace=deployment.namespace, error=str(error))
            return ()
        found = (_parsed(body) for body in listed if _scales(body, deployment))
        return tuple(sorted(found, key=lambda each: each.name))


def _scales(body: Body, deployment: ObjectRef) -> bool:
    target = (body.get("spec") or {}).get("scaleTargetRef") or {}
    group = target.get("apiVersion", "apps/v1").partition("/")[0]
    return (group, target.get("kind"), target.get("name")) == ("apps", "Deployment", deployment.name)


def _parsed(body: Body) -> AutoscalerRef:
    owners = body["metadata"].get("ownerReferences") or []
    made_by = next((f"{each['kind']} {each['name']}" for each in owners if each.get("controller")), "")
    return AutoscalerRef(body["metadata"]["name"], made_by)
