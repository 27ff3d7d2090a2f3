"""What is refused by code that gateways share (voxfleet_protocols), as the error of a field.

Does not know: any protocol or form.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voxfleet_protocols.translation import UnusableMessageError

from voxfleet_inference.errors import InvalidFieldError


@contextmanager
def as_field_error() -> Iterator[None]:
    """Raise InvalidFieldError for what that code refuses."""
    try:
        yield
    except UnusableMessageError as error:
        raise InvalidFieldError(str(error), param=error.param, code=error.code) from error
