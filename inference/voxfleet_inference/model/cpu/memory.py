"""Memory of the process: freed memory returned to the system, and memory in huge pages.

Knows: glibc's allocator, which keeps freed blocks for later use (after weights have been converted and packed, as many
bytes as the model has), and Linux's transparent huge pages. Does not know: models.
"""

import ctypes
import mmap
import sys

import torch
from torch import Tensor


def return_freed_memory() -> None:
    """Return glibc's free memory to the system; does nothing with another allocator."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)


class HugePages:
    """A buffer for weights that every step reads from end to end, in pages of 2 MiB where the system has them.

    With pages of 4 KiB a CPU spends as long on TLB misses as on reading, and its prefetcher stops at each page's end.
    """

    def __init__(self, size_bytes: int) -> None:
        # Private, because by default Linux keeps shared memory in small pages.
        memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._bytes = torch.frombuffer(memory, dtype=torch.uint8)
        self._used = 0

    def append(self, tensor: Tensor) -> Tensor:
        """Copy a tensor to the end of the used part and return the copy."""
        copy = self._bytes[self._used : self._used + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        self._used += tensor.nbytes
        return copy.copy_(tensor)
