"""Lists what a resource asks for and this version does not offer yet, so that a condition names it.

Knows which fields are not implemented. A region that cannot be served at all without such a field is blocked; every
other one is served without it.
"""

from voxfleet_operator.resources import Region, VoxTTSDeploymentSpec

NOT_AVAILABLE = "is not available in this version"


def blocked_reason(_spec: VoxTTSDeploymentSpec, region: Region) -> str:
    """Return why a region cannot be served, or an empty string."""
    if region.kube_config_secret_ref is not None:
        field = f"regions[{region.name}].kubeConfigSecretRef"
        return f"{field} {NOT_AVAILABLE}: serve this region from its own installation"
    return ""


def missing_features(spec: VoxTTSDeploymentSpec) -> list[str]:
    """Return one message for each requested field without which the resource is served."""
    # (is it requested, field, what happens instead)
    requested = (
        (spec.notebook.enabled, "notebook.enabled", "there is no notebook"),
        (spec.ingress.host is not None, "ingress", "make one for the gateways' Service"),
        (spec.monitoring.pod_monitor, "monitoring.podMonitor", "scrape port 9090 of the pods"),
    )
    return [f"{field} {NOT_AVAILABLE} ({instead})" for is_requested, field, instead in requested if is_requested]
