"""Stored voices of a region: on disk, in the memory of each gateway, and at its peers."""
