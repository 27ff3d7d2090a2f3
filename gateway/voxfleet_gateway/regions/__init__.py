"""The registry of models and regions that the operator writes into ConfigMaps. Pure.

Does not know: Kubernetes, which pods run, which requests arrive.
"""

from voxfleet_gateway.regions.entries import (
    DATA_KEY,
    DEFAULT_RULES,
    DEFAULT_SERVING,
    LANGUAGE,
    MAX_LANGUAGES,
    CostEntry,
    GatewayRules,
    Location,
    ModelEntry,
    ObjectKey,
    ObjectRef,
    Phase,
    RegionEntry,
    RegionKey,
    ServingRules,
    WakeEntry,
    WakeSeconds,
    parse_entry,
)
from voxfleet_gateway.regions.registry import Registry

__all__ = [
    "DATA_KEY",
    "DEFAULT_RULES",
    "DEFAULT_SERVING",
    "LANGUAGE",
    "MAX_LANGUAGES",
    "CostEntry",
    "GatewayRules",
    "Location",
    "ModelEntry",
    "ObjectKey",
    "ObjectRef",
    "Phase",
    "RegionEntry",
    "RegionKey",
    "Registry",
    "ServingRules",
    "WakeEntry",
    "WakeSeconds",
    "parse_entry",
]
