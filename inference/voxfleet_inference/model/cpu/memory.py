"""Memory that was freed and not given back.

Knows glibc's allocator, which keeps what it was handed back in pieces for later: after a model's weights have been
converted and packed that is as much as the model itself. Does not know models.
"""

import ctypes
import sys


def return_freed_memory() -> None:
    """Hand what is free back to the system; where the allocator is another one, nothing happens."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
