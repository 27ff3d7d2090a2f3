"""One object to apply, as a value.

Knows its kind and name. Does not know what it contains.
"""

from dataclasses import dataclass
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds import ObjectRef


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object to apply."""

    ref: ObjectRef
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return self.ref.kind

    @property
    def region(self) -> str:
        """Name of its region, by its label; empty for objects of the whole resource."""
        name: str = self.body["metadata"]["labels"].get(names.LABEL_REGION, "")
        return name
