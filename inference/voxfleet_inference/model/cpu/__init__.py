"""The same network for CPUs: weights packed at loading, and C kernels for whole stacks of layers and the codec.

Read `packing` first (what is packed when), then `stack` and `codec` (what the kernels take over), then `kernels/`.
"""
