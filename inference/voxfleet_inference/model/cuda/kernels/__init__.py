"""Triton kernels, each beside the same in plain PyTorch."""
