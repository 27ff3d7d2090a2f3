"""The same network for NVIDIA GPUs: fewer and larger kernels, and whole steps captured as CUDA graphs.

Read `optimize` first (what is replaced), then `stack` (a transformer in 8 or 5 kernels per layer) and the kernels, each
next to its reference in plain PyTorch: `norms`, `linears`, `attention` (`split_kv` for small batches, `softmax` for
what both share). `graphs` captures steps, `compile` fills Triton's cache when an image is built. A server on a CPU
imports none of this.
"""
