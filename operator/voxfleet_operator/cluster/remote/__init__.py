"""Connections to the clusters of remote regions: one per kubeconfig, opened when needed, closed when not."""
