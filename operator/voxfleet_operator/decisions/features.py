"""What a resource asks for that this version does not offer, said plainly instead of being ignored.

Knows which fields are not built yet. A region that cannot serve at all without such a field is blocked; everything
else is served without it, and the condition says so.
"""

from voxfleet_operator.resources import CacheType, Region, SpotUse, VoxTTSDeploymentSpec

NOT_BUILT = "is not available in this version"


def blocked_reason(spec: VoxTTSDeploymentSpec, region: Region) -> str:
    """Why a region cannot be served, or an empty string."""
    if region.kube_config_secret_ref is not None:
        return f"regions[{region.name}].kubeConfigSecretRef {NOT_BUILT}: serve this region from its own installation"
    if spec.model.source.startswith("s3://"):
        return f"model.source s3:// {NOT_BUILT}: use hf://, pvc:// or file://"
    return ""


def missing_features(spec: VoxTTSDeploymentSpec) -> list[str]:
    """What is served without: one sentence each."""
    asked = (
        (spec.capacity.spot != SpotUse.NEVER, f"capacity.spot {spec.capacity.spot}", "servers run on demand"),
        (spec.cache.weights.type != CacheType.EMPTY_DIR, f"cache.weights.type {spec.cache.weights.type}", "EmptyDir"),
        (spec.cache.pre_pull_image, "cache.prePullImage", "images are pulled at a wake"),
        (spec.notebook.enabled, "notebook.enabled", "there is no notebook"),
        (spec.ingress.host is not None, "ingress", "make one for the gateways' Service"),
        (spec.monitoring.pod_monitor, "monitoring.podMonitor", "scrape port 9090 of the pods"),
        (_any_schedules(spec), "autoscaling.schedules", "only minReplicas counts"),
    )
    return [f"{field} {NOT_BUILT} ({instead})" for is_asked, field, instead in asked if is_asked]


def _any_schedules(spec: VoxTTSDeploymentSpec) -> bool:
    own = any(region.autoscaling and region.autoscaling.schedules for region in spec.regions)
    return bool(spec.autoscaling.schedules) or own
