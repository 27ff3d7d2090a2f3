"""The demand of a region: its load, until when it keeps replicas, and how long its wakes take."""
