"""What is refused by code that servers share (voxfleet_protocols), as this gateway's refusal.

Does not know: any protocol or form.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from voxfleet_protocols.translation import UnusableMessageError

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import bad_request


@contextmanager
def as_refusal() -> Iterator[None]:
    """Raise RequestRefusedError (400) for what that code refuses."""
    try:
        yield
    except UnusableMessageError as error:
        raise RequestRefusedError(bad_request(str(error), error.param, error.code)) from error
