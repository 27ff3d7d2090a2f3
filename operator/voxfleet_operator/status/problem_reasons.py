"""The reasons of problems, from the most severe on: what each means, what to do, which alert goes with it.

Of several problems the first of the table gives Degraded its reason; the message has them all.
Does not know which states are problems (problems.py, decisions/).
"""

from collections.abc import Mapping
from typing import Final

from voxfleet_operator.status.condition_types import (
    DEGRADED,
    READY,
    RECONCILING,
    REGION_FAILED,
    STALLED,
    VERIFIED,
    Reason,
)

_CLUSTER_AWAY: Final = "VoxFleetRemoteClusterAway"
_UNSERVED: Final = (READY, STALLED, DEGRADED)
_RETRIED: Final = (READY, RECONCILING, DEGRADED)

PROBLEMS: Final[Mapping[str, Reason]] = {
    "NameTaken": Reason(
        "An object of the needed name has another owner.",
        "Rename this resource or delete that object.",
        _UNSERVED,
        "VoxFleetReconcileErrors",
    ),
    "ApplyFailed": Reason(
        "The API server rejected an object or was not reached; retried with back-off. Reconciling while a retry may "
        "help, Stalled when the object must change (403, 422) or after 5 minutes.",
        "Correct what the message quotes: the field, the grant or the quota.",
        (READY, RECONCILING, STALLED, DEGRADED),
        "VoxFleetReconcileErrors",
    ),
    "SecretForbidden": Reason(
        "The operator may not read the Secret of a kubeConfigSecretRef.",
        "Add its namespace to the chart's secretNamespaces, or run the kubectl line of the message.",
        _UNSERVED,
    ),
    "KubeconfigRefused": Reason(
        "A kubeconfig has something else than an https server, a CA and an inline token or client certificate, or "
        "leads to an address that is not allowed.",
        "Correct the field that the message names.",
        _UNSERVED,
    ),
    "ClusterForbidden": Reason(
        "The cluster of a region refuses the kubeconfig's credentials, or does not grant what the operator needs.",
        "Renew the kubeconfig, or install the chart there with hubAccess.enabled (docs/remote-regions.md).",
        _UNSERVED,
        _CLUSTER_AWAY,
    ),
    "ClusterUnreachable": Reason(
        "The cluster of a region is not reached; its servers stay as they are, other regions are not concerned, and it "
        "is tried again by itself.",
        "Check that API server and the network to it.",
        _RETRIED,
        _CLUSTER_AWAY,
    ),
    "ClusterConnecting": Reason(
        "The operator is connecting to the cluster of a region for the first time.", "", _RETRIED
    ),
    "LoadUnknown": Reason(
        "Gateways or pods do not report their load, so no region goes to sleep.",
        "Look at the gateways.",
        (DEGRADED,),
        "VoxFleetLoadUnknown",
    ),
    "FellBack": Reason(
        "A wake with a new template failed; the last one that worked is used until the spec changes.",
        "Correct the spec; the message says what failed.",
        (DEGRADED,),
    ),
    "PodFailing": Reason(
        "A pod does not start while others serve.", "Correct what the last change broke.", (DEGRADED,)
    ),
    "PlacementConflict": Reason(
        "podTemplate.affinity or a region's nodeSelector excludes every node of a pool that capacity asks for, so its "
        "pods stay pending.",
        "Change one of the two fields that the message names.",
        (DEGRADED,),
    ),
    "SpotUnavailable": Reason(
        "No spot node within the fallback time; the message says what serves meanwhile.",
        "The message has a remedy (docs/spot-and-autoscalers.md).",
        (DEGRADED,),
        "VoxFleetSpotUnavailable",
    ),
    "RolloutWaiting": Reason(
        "A new template waits: with rollout.strategy Replace the only server would end before its successor is ready. "
        "It is used when another server or region serves, or at the next wake.",
        "",
        (DEGRADED,),
    ),
    "NoSurgeCapacity": Reason(
        "A pod finds no node while others serve.",
        "Add a node, or set rollout.strategy to Replace.",
        (DEGRADED,),
    ),
    "ScaledByOthers": Reason(
        "Another writer scaled a Deployment, which was set back; reported for ten minutes after the last time.",
        "Delete the autoscaler that the message names, or use spec.autoscaling.",
        (DEGRADED,),
    ),
    "ClockSkew": Reason(
        "A gateway's clock is more than 5 s ahead of the operator's.",
        "Synchronise the clocks of the nodes.",
        (DEGRADED,),
    ),
    "WeightsNotFetched": Reason(
        "The weights could not be fetched; the message has the pod's own words. Tried again with back-off, and at once "
        "after a change of the spec; earlier weights are kept.",
        "Correct model.source, its Secret, or the network to it.",
        _UNSERVED,
        REGION_FAILED,
    ),
    "ClaimNotBound": Reason(
        "The claim for the weights is not bound or does not exist; the message names the storage classes that exist.",
        "Correct cache.weights.claimName, storageClassName, accessMode or size.",
        _UNSERVED,
        REGION_FAILED,
    ),
    "ClaimNotShared": Reason(
        "The claim for the weights can be mounted on one node at a time, and maxReplicas is above 1.",
        "Use a claim with ReadWriteMany, or maxReplicas 1.",
        (DEGRADED,),
    ),
    "SecretNotFound": Reason(
        "A pod or a kubeConfigSecretRef refers to a Secret, or a key of one, that does not exist.",
        "Create it, or correct the field.",
        _UNSERVED,
        REGION_FAILED,
    ),
    "ImageNotFound": Reason(
        "The image cannot be pulled.",
        "Correct spec.image or set podTemplate.imagePullSecrets.",
        (READY, VERIFIED, STALLED, DEGRADED),
        REGION_FAILED,
    ),
    "HostPathForbidden": Reason(
        "cache.weights.path is not below the chart's allowedHostPaths.",
        "Have it added, or use another type.",
        _UNSERVED,
        REGION_FAILED,
    ),
    "ImageVolumesNotServed": Reason(
        "The cluster does not serve image volumes (Kubernetes 1.33 to 1.34 with the feature gate ImageVolume, 1.35 and "
        "newer without).",
        "Use cache.weights.type PersistentVolumeClaim.",
        _UNSERVED,
        REGION_FAILED,
    ),
    "RouteRefused": Reason(
        "A Gateway refuses the HTTPRoute, or what it leads to; the message has the Gateway's own words.",
        "Correct spec.route, or what the Gateway allows (docs/ways-in.md).",
        (DEGRADED,),
    ),
    "KindNotServed": Reason(
        "The cluster lacks a CustomResourceDefinition of a kind that the spec asks for.",
        "Install it, and the objects are made at once, or take the field out.",
        (DEGRADED,),
    ),
    "HostTaken": Reason(
        "An older resource has the host, so no second Ingress is made; all models answer at one host.",
        "Remove the field, or use another host.",
        (DEGRADED,),
    ),
    "HostForbidden": Reason(
        "A host is not within the chart's allowedIngressDomains (empty: none), so its Ingress is not made.",
        "Use a host of these domains, or have its domain added.",
        (DEGRADED,),
    ),
    "FeatureNotAvailable": Reason(
        "The spec asks for something that this installation does not offer.",
        "Take the field out that the message names, or have the chart's value set.",
        (DEGRADED,),
    ),
    "ModelNameTaken": Reason(
        "An older resource owns the model name or an alias; this one answers by its other names.",
        "Choose another name.",
        (DEGRADED,),
    ),
    "ScheduleInvalid": Reason(
        "A schedule cannot be read or asks for too much; the message names the field.",
        "The message has the remedy.",
        (DEGRADED,),
    ),
    "TemplateConflict": Reason(
        "podTemplate sets something that VoxFleet sets itself; VoxFleet's value is used.",
        "Take it out.",
        (DEGRADED,),
    ),
    "GatewayURLForbidden": Reason(
        "A region's gatewayURL is not within the chart's allowedPeerDomains (empty: none), so it is left out of the "
        "gateways' registry.",
        "Use a host of these domains, or have its domain added.",
        (DEGRADED,),
    ),
    "RemoteCleanup": Reason(
        "Objects in the cluster of a region that left, or of a deleted resource, are not deleted yet.",
        "If that cluster is gone for good, set the annotation voxfleet.dev/abandon-remote as the message says.",
        _RETRIED,
    ),
}
