"""The caller of a request: what its key, or its certificate, lets it do. Pure.

Knows: which fields decide about a request's models, bounds and order. Does not know: how a caller is authenticated.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

EVERY_MODEL = "*"
SMALL_BODY_BYTES = 64 * 1024  # of any text: 4,096 characters, each escaped in 12 bytes, and the other fields


class Access(StrEnum):
    """What a caller may do with a model."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"  # it may know that the model exists, and no more
    UNKNOWN = "unknown"  # for this caller the model does not exist


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity that a request is accounted to, and its rights."""

    tenant: str = ""  # empty: no key was given
    priority: int = 0
    models: frozenset[str] | None = None  # full names (namespace/name), bare names, namespace/*; None: every model
    max_body_bytes: int = 16 * 2**20
    key_id: str = ""
    may_upload: bool = True  # recordings: bodies beyond a text's size
    may_operate: bool = False  # wake named regions, put regions to sleep, read costs and every tenant's decisions
    hold_seconds: float | None = None  # of a request whose client names no time; None: the gateway's default
    is_catalog: bool = False  # without a key where keys are required: it may read the names of public models
    peer_region: str | None = None  # the region of the gateway that sent the request; it has accounted for it

    def access(self, full_name: str, bare_names: Collection[str] = (), *, is_public: bool = False) -> Access:
        """Return what the caller may do with a model; `bare_names` are those that resolve to it now."""
        if self.is_catalog:
            return Access.ALLOWED if is_public else Access.UNKNOWN
        namespace = full_name.partition("/")[0]
        if self.models is None or not self.models.isdisjoint({full_name, f"{namespace}/{EVERY_MODEL}", *bare_names}):
            return Access.ALLOWED
        return Access.FORBIDDEN if is_public else Access.UNKNOWN


ANONYMOUS = Caller()
CATALOG = Caller(is_catalog=True)
