"""Asks an API server for rights: this user's, or another account's.

Knows: the two kinds of access reviews. Does not know: which rights are needed (needed_rights.py).
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.doctor.needed_rights import Need
from voxfleet_cli.doctor.observed import Right
from voxfleet_cli.errors import ClusterError

AT_ONCE = 8  # a review is small, and an API server may be far away
KINDS = {
    "subjectaccessreviews": "SubjectAccessReview",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
}


def rights_of(
    cluster: Cluster, user: str, needs: Iterable[Need], namespaces: Mapping[str, str], subject: str
) -> list[Right]:
    """Return whether needs are met; those that may not be asked about are left out. An empty user: this one."""
    asked = [(need, verb) for need in needs for verb in need.verbs]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = threads.map(
            lambda each: _asked(cluster, user, each[0], each[1], namespaces.get(each[0].scope, ""), subject), asked
        )
        return [right for right in found if right is not None]


def _asked(cluster: Cluster, user: str, need: Need, verb: str, namespace: str, subject: str) -> Right | None:  # noqa: PLR0913, PLR0917  # what a review says
    kind = "subjectaccessreviews" if user else "selfsubjectaccessreviews"
    resource, _, subresource = need.resource.partition("/")
    attributes = {"verb": verb, "group": need.group, "resource": resource, "subresource": subresource}
    spec: Body = {"resourceAttributes": attributes | {"namespace": namespace}} | ({"user": user} if user else {})
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": KINDS[kind], "spec": spec}
    try:
        answer = cluster.post(f"/apis/authorization.k8s.io/v1/{kind}", review)
    except ClusterError:
        return None
    is_allowed = bool((answer.get("status") or {}).get("allowed"))
    return Right(subject, verb, need.group, need.resource, namespace, is_allowed, need.purpose)
