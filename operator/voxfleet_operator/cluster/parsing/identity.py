"""What identifies an object that the API server sends: reference, version, and the resource that it belongs to.

Knows labels and metadata. Does not know what an object contains.
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds import EVENTS, KINDS, UNOWNED_KINDS, ObjectRef
from voxfleet_operator.resources import Key

Body = dict[str, Any]


def version_of(body: Body) -> int:
    """Return its resource version, of which a later one is larger."""
    return int(body["metadata"]["resourceVersion"])


def ref_of(kind: str, body: Body) -> ObjectRef:
    """Return the object; of an event the one that it is about."""
    if kind in EVENTS:
        # A Node's events are in the namespace default.
        return ObjectRef(kind, body["involvedObject"].get("namespace", ""), body["involvedObject"]["name"])
    return ObjectRef(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])


def owner_of(kind: str, body: Body) -> Key | None:
    """Return the resource that the labels name.

    The namespace label counts only for kinds in the operator's own namespaces: in any other namespace a user could
    label an object as part of a resource of another namespace.
    """
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(names.LABEL_DEPLOYMENT) if KINDS[kind].is_of_a_resource else None
    namespace = labels.get(names.LABEL_NAMESPACE, "") if kind in UNOWNED_KINDS else metadata.get("namespace", "")
    return Key(namespace, name) if name else None
