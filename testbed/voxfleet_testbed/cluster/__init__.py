"""The control plane, its nodes, and the whole."""
