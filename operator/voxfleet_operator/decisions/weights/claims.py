"""Decides what is wrong with a claim for weights: no second node can mount it, or no storage class provides it.

Knows access modes, and that a claim without a class gets the cluster's default one. Does not know Jobs and pods
(fetches.py), nor how claims and classes are looked up (cluster/lookups).
"""

from dataclasses import dataclass

# Other nodes may mount these at the same time; ReadWriteOncePod is for one pod, ReadWriteOnce for one node.
SHARED_MODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})
# A volume that an administrator made for the claim is bound within seconds, and needs no class.
BINDING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class UsersClaim:
    """A claim that the user has made; `field`: where the spec names it."""

    name: str
    field: str
    exists: bool = True
    access_modes: tuple[str, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether servers on different nodes can mount it."""
        return not self.access_modes or bool(SHARED_MODES & set(self.access_modes))


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A storage class of the cluster."""

    name: str
    is_default: bool = False


def claim_problem(claim: UsersClaim, servers_of: dict[str, int]) -> tuple[str, str] | None:
    """Return (reason, message) for a claim that the servers cannot use; `servers_of`: maxReplicas of each region."""
    if not claim.exists:
        return "ClaimNotBound", f"{claim.field}: there is no claim {claim.name} in this namespace; create it"
    if claim.is_shared or sum(servers_of.values()) <= 1:
        return None
    modes, counts = ", ".join(claim.access_modes), ", ".join(f"{name} {count}" for name, count in servers_of.items())
    text = (
        f"{claim.field}: claim {claim.name} has access mode {modes}, so servers on other nodes cannot mount it, and"
        f" autoscaling.maxReplicas allows more than one (region {counts}): use a claim with ReadWriteMany, or one"
        " region with maxReplicas 1"
    )
    return "ClaimNotShared", text


def class_problem(wanted: str, classes: tuple[StorageClass, ...]) -> str:
    """Return what is wrong with the class of a claim that is not bound; `wanted` empty: the default one.

    An empty string: nothing.
    """
    known = ", ".join(f"{each.name} (default)" if each.is_default else each.name for each in classes)
    remedy = f"it has {known}" if known else "it has none: install a provisioner, or use cache.weights.type EmptyDir"
    if wanted:
        is_there = any(each.name == wanted for each in classes)
        return "" if is_there else f"the cluster has no storage class {wanted}; {remedy}"
    if any(each.is_default for each in classes):
        return ""
    named = f"{remedy}: name one of them" if known else remedy
    return f"the cluster has no default storage class; {named}"
