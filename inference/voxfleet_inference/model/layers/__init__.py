"""The layers that VoxCPM is built from: transformers with a KV cache, and the flow-matching decoder of patches."""
