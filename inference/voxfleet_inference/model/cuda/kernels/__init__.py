"""Triton kernels, each next to its reference in plain PyTorch."""
