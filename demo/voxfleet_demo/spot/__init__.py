"""Spot nodes and an autoscaler: a real operator and a real Karpenter on simulated nodes; no root, no images, no GPU."""
