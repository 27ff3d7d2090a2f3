"""Regions in other clusters: their reconcile there, and what the resource's own reconcile knows of it."""
