"""The same network for NVIDIA GPUs: fewer and larger kernels, whole steps recorded as CUDA graphs.

Read `stack` first (a transformer in 8 or 5 kernels per layer), then the kernels, each beside its twin in plain PyTorch:
`norms`, `linears`, `attention` (`splitting` where few rows decode, `softmax` what both share). `graphs` records steps,
`compile` fills Triton's cache when an image is built. Nothing here is imported on a CPU unless somebody asks for it.
"""
