"""The operator's decisions: pure functions from what is observed, and the time, to what shall be."""
