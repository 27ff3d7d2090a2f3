"""Builds the PodMonitor of a resource's servers, for a Prometheus operator.

Knows which labels of pods become labels of series: those that dashboards and alerts ask for, as in the chart's own
PodMonitor. Does not know whether a Prometheus selects it.
"""

from voxfleet_operator import names
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.resources import Resource

SERIES_LABELS = {"name": names.LABEL_DEPLOYMENT, "region": names.LABEL_REGION, "pool": names.LABEL_POOL}


def pod_monitor(resource: Resource, installation: Installation) -> Manifest:
    """Return the PodMonitor, in the resource's namespace, which it selects pods of."""
    key = resource.key
    relabelings = [
        {"sourceLabels": [f"__meta_kubernetes_pod_label_{_as_meta_label(label)}"], "targetLabel": target}
        for target, label in SERIES_LABELS.items()
    ]
    spec = {
        "selector": {
            "matchLabels": {names.LABEL_DEPLOYMENT: key.name},
            # A pod that fetches weights has no metrics.
            "matchExpressions": [{"key": names.LABEL_POOL, "operator": "Exists"}],
        },
        "podMetricsEndpoints": [{"port": "metrics", "relabelings": relabelings}],
    }
    labels = names.resource_labels(key.namespace, key.name) | dict(installation.entry.pod_monitor_labels)
    return manifest_of(resource, installation, "PodMonitor", key.name, labels, spec=spec)


def _as_meta_label(label: str) -> str:
    return label.replace(".", "_").replace("/", "_").replace("-", "_")
