"""Regions in other clusters: which kubeconfigs are used, what is recorded for deletion, what an absence means."""
