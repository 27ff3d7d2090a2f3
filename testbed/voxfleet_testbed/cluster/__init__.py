"""The control plane, the nodes, and the cluster of both."""
