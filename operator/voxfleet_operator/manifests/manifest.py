"""One object to apply, as a value.

Knows its kind and name. Does not know what it contains.
"""

from dataclasses import dataclass
from typing import Any

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
