"""PyTorch settings that make results nondeterministic, switched off.

Knows: which CUDA settings change the order or the precision of a sum. Does not know: batch shapes, which the
ModelRunner fixes, or weights, which are aligned when they are loaded (docs/decisions/0007).

`torch.use_deterministic_algorithms` is not used. It treats every `index_copy_` as one that may write an element twice
and sorts the indices first: a dozen kernels (and, in some versions, a wait of the host) instead of one. The
`index_copy_` calls of a step never write an element twice, and the setting affects no other operation of a step;
tests check every operation.
"""

import os

import torch


def disable_nondeterminism() -> None:
    """Switch off reduced precision and algorithms whose order of summation varies; call before the first CUDA call."""
    # cuBLAS needs a fixed workspace to repeat its results; it reads this when the CUDA context is created.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = False  # timing algorithms may select another one in every run
    torch.backends.cudnn.deterministic = True
