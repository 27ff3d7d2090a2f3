"""Requests that wait for a region: for how long, how many, in which order."""
