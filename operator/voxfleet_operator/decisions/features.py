"""Lists what a resource asks for and this version does not offer yet, so that a condition names it.

Knows which fields are not implemented. The resource is served without them.
"""

from voxfleet_operator.resources import VoxTTSDeploymentSpec

NOT_AVAILABLE = "is not available in this version"


def missing_features(spec: VoxTTSDeploymentSpec) -> list[str]:
    """Return one message for each requested field without which the resource is served."""
    # (is it requested, field, what happens instead)
    requested = (
        (spec.notebook.enabled, "notebook.enabled", "there is no notebook"),
        (spec.ingress.host is not None, "ingress", "make one for the gateways' Service"),
        (spec.monitoring.pod_monitor, "monitoring.podMonitor", "scrape port 9090 of the pods"),
    )
    return [f"{field} {NOT_AVAILABLE} ({instead})" for is_requested, field, instead in requested if is_requested]
