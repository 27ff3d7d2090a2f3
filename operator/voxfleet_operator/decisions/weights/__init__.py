"""Weights that a region needs before its servers start: what is fetched, and whether a claim can hold it."""
