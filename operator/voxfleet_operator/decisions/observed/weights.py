"""Claims, Jobs and pods of weights that are fetched before a wake: what exists of them.

Does not know what is wrong with them (decisions/weights/fetches.py, decisions/weights/claims.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_operator.decisions.observed.pods import PodState
from voxfleet_operator.decisions.weights.claims import StorageClass

CLAIM_BOUND = "Bound"  # phase of a claim with a volume


@dataclass(frozen=True, slots=True)
class ClaimState:
    """A claim for weights that the operator has made; `storage_class` is empty while it has none."""

    name: str
    uid: str
    phase: str = ""
    created_at: float = 0.0
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class JobState:
    """A Job that fetches weights into a claim.

    `weights`: the key of what it fetches; `claim_uid`: of the claim, where the operator made it; `failed_at`: when it
    gave up.
    """

    name: str
    weights: str
    attempt: int = 1
    claim_uid: str = ""
    generation: int | None = None
    created_at: float = 0.0
    is_complete: bool = False
    failed_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Bytes that a fetching pod has, and shall have."""

    present_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class WeightsState:
    """The weights of a region, as far as they are fetched before a wake.

    `key` identifies what is fetched and where to; empty: nothing is to be fetched, or the claim for it does not exist
    yet (`waits_for_claim`). `claim_uids`: of every claim of the resource that exists. `storage_classes`: of the
    cluster, where they were looked up. `jobs`: every Job of the resource; `pods`: theirs. `refusal`: (reason, message)
    of weights that pods cannot get at all. `what`, `where`, `secret`: the fields of the spec and their values, for
    messages.
    """

    key: str = ""
    waits_for_claim: bool = False
    claim: ClaimState | None = None
    claim_uids: frozenset[str] = frozenset()
    storage_classes: tuple[StorageClass, ...] | None = None
    jobs: tuple[JobState, ...] = ()
    pods: tuple[PodState, ...] = ()
    refusal: tuple[str, str] | None = None
    progress: Mapping[str, FetchProgress] = field(default_factory=dict)  # by name of the pod
    what: str = ""
    where: str = ""
    secret: str = ""
