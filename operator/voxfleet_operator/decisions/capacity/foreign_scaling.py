"""Reports that another writer scales a region's Deployments, with the remedy for that writer.

Knows what ends an autoscaler, and one that another object makes again. That the replicas are set back follows
from the plan, which never depends on what others wrote.
"""

from voxfleet_operator.decisions.observed import AutoscalerRef, ForeignScale, RegionState


def scaling_warnings(observed: RegionState) -> list[tuple[str, str]]:
    """Return (reason, message) for each Deployment; the text stays the same however often the writer tries."""
    return [("ScaledByOthers", f"region {observed.name}: {_text(scale)}") for scale, _ in observed.local.scaled]


def report_ends_at(observed: RegionState) -> float | None:
    """Return when the first report is over."""
    return min((until for _, until in observed.local.scaled), default=None)


def _text(scale: ForeignScale) -> str:
    done = f"Deployment {scale.deployment} was scaled by"
    undone = "and was set back to the replicas that VoxFleet decides"
    if scale.autoscalers:
        found = " and ".join(_named(each) for each in scale.autoscalers)
        ended = " and ".join(each.made_by or f"HorizontalPodAutoscaler {each.name}" for each in scale.autoscalers)
        return f"{done} {found} {undone}: delete {ended} and set spec.autoscaling"
    if scale.is_by_autoscaler:
        remedy = "delete that autoscaler (kubectl get hpa) and set spec.autoscaling"
        return f"{done} a HorizontalPodAutoscaler (field manager {scale.manager}) {undone}: {remedy}"
    return f"{done} field manager {scale.manager} {undone}: set spec.autoscaling, or spec.suspend, instead"


def _named(autoscaler: AutoscalerRef) -> str:
    made_by = f", made by {autoscaler.made_by}," if autoscaler.made_by else ""
    return f"HorizontalPodAutoscaler {autoscaler.name}{made_by}"
